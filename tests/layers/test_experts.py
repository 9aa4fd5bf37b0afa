"""Experts against a loop over tokens, in every way they can be run; upcycling; balance; published sizes."""

import copy
import math
import weakref
from collections import Counter

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from skysense_nb.layers import FeedForward, experts, run_block
from skysense_nb.layers.experts import Experts, Gate, Routing, balance_loss

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2}


@pytest.fixture(params=["sliced", "grouped"])
def way(request, monkeypatch):
    """Either way of doing the products; `F.grouped_mm` also runs on a CPU, slowly."""
    monkeypatch.setattr(experts, "can_group", lambda tokens, _: request.param == "grouped" and len(tokens) > 0)
    return request.param


def lively(width=16, count=5, dtype=torch.float32):
    """Experts with large random weights and biases, so that every term of the formula shows."""
    torch.manual_seed(0)
    module = Experts(width, ratio=2.0, experts=count)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.to(dtype)


def one_by_one(module, x):
    """value[e] · W2[e] gelu(W1[e] x + b1[e]) + b2[e], one token after the other."""
    rows = []
    for token in x.reshape(-1, x.shape[-1]):
        scores = [torch.exp((row * token).sum()) for row in module.gate.weight]
        chosen = max(range(len(scores)), key=lambda number: scores[number].item())
        hidden = module.up_weight[chosen] @ token + module.up_bias[chosen]
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        answer = module.down_weight[chosen] @ hidden + module.down_bias[chosen]
        rows.append(answer * scores[chosen] / sum(scores))
    return torch.stack(rows).view(x.shape)


def assert_near(found, expected, tolerance):
    assert found.shape == expected.shape
    worst = (found.float() - expected.float()).abs().max() / expected.float().abs().max()
    assert worst <= tolerance


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(40, 16), (1, 16), (16,), (2, 7, 16), (2, 3, 4, 16)])
def test_output_and_gradients_are_those_of_a_loop_over_tokens(way, shape, dtype):
    module, x = lively(dtype=dtype), torch.randn(shape).to(dtype).requires_grad_()
    exact, exact_x = copy.deepcopy(module).float(), x.detach().float().requires_grad_()
    out, expected = module(x), one_by_one(exact, exact_x)
    assert out.dtype == dtype
    assert_near(out, expected, TOLERANCE[dtype])
    direction = torch.randn(shape).to(dtype)
    out.backward(direction)
    expected.backward(direction.float())
    assert_near(x.grad, exact_x.grad, TOLERANCE[dtype])
    for (name, found), wanted in zip(module.named_parameters(), exact.parameters(), strict=True):
        assert found.grad is not None, name
        assert_near(found.grad, wanted.grad, TOLERANCE[dtype])


def test_long_slices_are_cut_without_a_trace(monkeypatch):
    monkeypatch.setattr(experts, "LONGEST_SLICE", 3)
    module, x = lively(), torch.randn(40, 16)
    assert_near(module(x), one_by_one(module, x), 1e-5)


def test_tokens_may_lie_anywhere_in_memory(way):
    module, x = lively(), torch.randn(3, 16, 6)
    assert_near(module(x.transpose(1, 2)), module(x.transpose(1, 2).contiguous()), 1e-6)


def test_order_of_tokens_is_kept(way):
    module, x, order = lively(), torch.randn(50, 16), torch.randperm(50)
    assert_near(module(x[order]), module(x)[order], 1e-6)


def test_experts_without_tokens_get_a_zero_gradient(way):
    module, x = lively(), torch.randn(6, 16)
    with torch.no_grad():
        module.gate.weight[[0, 3]] = 0
        module.gate.weight[[1, 2, 4]] = -torch.ones(16)
    x = x.abs()  # logits of 0 and 3 tie at the top: the first of them reads everything
    module(x).sum().backward()
    for parameter in (module.up_weight, module.up_bias, module.down_weight, module.down_bias):
        assert parameter.grad[0].abs().sum() > 0
        assert (parameter.grad[1:] == 0).all()
    assert_near(module(x), one_by_one(module, x), 1e-5)


def test_no_tokens_give_no_tokens(way):
    module, x = lively(), torch.zeros(2, 0, 16, requires_grad=True)
    out = module(x)
    out.sum().backward()
    assert out.shape == x.grad.shape == (2, 0, 16)


def test_gate_stays_in_fp32_whatever_surrounds_it():
    gate, x = Gate(64, experts=8), torch.randn(200, 64)
    exact = (x.bfloat16().double() @ gate.weight.bfloat16().double().T).softmax(-1)
    half = copy.deepcopy(gate).bfloat16()(x.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        cast = gate(x)
    for routing, wanted in ((half, exact), (cast, (x.double() @ gate.weight.double().T).softmax(-1))):
        assert routing.probabilities.dtype == routing.value.dtype == torch.float32
        assert torch.allclose(routing.probabilities.double(), wanted, rtol=1e-5, atol=0)
        assert torch.equal(routing.expert, wanted.argmax(-1))
        assert torch.equal(routing.value, routing.probabilities.amax(-1))


def test_autocast_computes_as_the_dense_layer_does(way):
    module, x = lively(), torch.randn(40, 16)
    with torch.autocast("cpu", torch.bfloat16):
        out = module(x)
        assert out.dtype == FeedForward(16)(x).dtype == torch.bfloat16
    assert_near(out, one_by_one(module, x), 2e-2)
    out.float().sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in module.parameters())


def test_a_hook_on_the_gate_sees_the_routing():
    module, seen = lively(), []
    module.gate.register_forward_hook(lambda gate, inputs, routing: seen.append(routing))
    module(torch.randn(2, 7, 16))
    (routing,) = seen
    assert isinstance(routing, Routing)
    assert routing.expert.shape == routing.value.shape == (2, 7)
    assert routing.probabilities.shape == (2, 7, 5)


def test_recomputed_activations_change_no_gradient():
    gradients = []
    for recompute in (False, True):
        module, seen = lively(), []
        module.gate.register_forward_hook(lambda gate, inputs, routing, seen=seen: seen.append(routing))
        out = run_block(module, torch.randn(30, 16), recompute=recompute)
        (out.square().mean() + balance_loss(seen[0])).backward()
        gradients.append([parameter.grad for parameter in module.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        assert torch.equal(plain, recomputed)


def test_operations_are_those_of_one_dense_layer_and_the_gate():
    counted = {}
    for build in (FeedForward, Experts):
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            assert build(32)(torch.empty(3, 7, 32)).shape == (3, 7, 32)
        counted[build] = counter.get_total_flops()
    assert counted[FeedForward] == 2 * 21 * 2 * 32 * 128
    assert counted[Experts] == counted[FeedForward] + 2 * 21 * 32 * 8


def test_a_memory_planner_can_run_it():
    module = lively()
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        out = module(mode.from_tensor(torch.randn(2, 9, 16)))
    assert isinstance(out, FakeTensor)
    assert out.shape == (2, 9, 16)


def test_compiled_experts_follow_the_routing_of_each_batch():
    module = lively()
    compiled = torch.compile(module, backend="eager")
    for _ in range(3):
        x = torch.randn(20, 16)
        assert_near(compiled(x), module(x), 1e-6)
    torch._dynamo.reset()


def test_grouped_products_never_wait_for_the_device(monkeypatch):
    """Nothing of the routing reaches Python: the whole call is one graph."""
    monkeypatch.setattr(experts, "can_group", lambda tokens, _: True)
    module, x = lively(dtype=torch.bfloat16), torch.randn(2, 20, 16).bfloat16()
    assert_near(torch.compile(module, backend="eager", fullgraph=True)(x), module(x), 1e-6)
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("kind", "dtype", "width", "capability", "expected"),
    [
        ("cuda", torch.bfloat16, 16, (9, 0), True),
        ("cuda", torch.bfloat16, 16, (12, 0), True),
        ("cuda", torch.bfloat16, 16, (8, 0), False),  # Ampere: torch has no kernel and loops
        ("cuda", torch.bfloat16, 12, (9, 0), False),  # rows of 24 bytes
        ("cuda", torch.float32, 16, (9, 0), False),
        ("cpu", torch.bfloat16, 16, (9, 0), False),
    ],
)
def test_grouped_products_are_used_where_a_kernel_exists(monkeypatch, kind, dtype, width, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    with FakeTensorMode():
        tokens, weight = (torch.empty(*shape, dtype=dtype, device=kind) for shape in ((9, width), (4, 32, width)))
        assert experts.can_group(tokens, weight) is expected
        assert not experts.can_group(tokens[:0], weight)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_computes_what_the_cpu_does():
    module, x = lively(width=64, dtype=torch.bfloat16), torch.randn(300, 64).bfloat16().requires_grad_()
    there, there_x = copy.deepcopy(module).cuda(), x.detach().cuda().requires_grad_()
    direction = torch.randn_like(x)
    out, found = module(x), there(there_x)
    out.backward(direction)
    found.backward(direction.cuda())
    assert_near(found.cpu(), out, 1e-2)
    assert_near(there_x.grad.cpu(), x.grad, 1e-2)
    for wanted, parameter in zip(module.parameters(), there.parameters(), strict=True):
        assert_near(parameter.grad.cpu(), wanted.grad, 1e-2)


class Peak(TorchDispatchMode):
    """Highest number of bytes that living tensors hold, without those given at the start."""

    def __init__(self, given):
        super().__init__()
        self.given = {tensor.untyped_storage()._cdata for tensor in given}
        self.held, self.users, self.bytes = {}, Counter(), 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage()._cdata not in self.given:
                storage = tensor.untyped_storage()
                self.held[storage._cdata] = storage.nbytes()
                self.users[storage._cdata] += 1
                weakref.finalize(tensor, self.drop, storage._cdata)
        self.bytes = max(self.bytes, sum(self.held.values()))
        return out

    def drop(self, key):
        self.users[key] -= 1
        if self.users[key] == 0:
            del self.held[key]


def inference_bytes(module, x):
    with torch.no_grad(), Peak([x, *module.parameters()]) as peak:
        module(x)
    return peak.bytes


def saved_bytes(module, x):
    """What a forward pass keeps for the backward pass, without the weights."""
    weights, kept = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}, {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(x)
    return sum(kept.values())


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("crowded", [False, True])
def test_memory_stays_close_to_that_of_the_dense_layer(way, dtype, crowded):
    dense, module, x = FeedForward(256).to(dtype), Experts(256).to(dtype), torch.randn(4096, 256, dtype=dtype)
    if crowded:
        nn.init.zeros_(module.gate.weight)  # all tokens go to the first expert
    assert inference_bytes(dense, x) == 8 * x.nbytes  # the hidden layer before and after GELU
    assert inference_bytes(module, x) < 1.2 * inference_bytes(dense, x)
    x.requires_grad_()
    gate_copy = 0 if dtype == torch.float32 else 1  # the gate keeps the tokens in fp32
    assert saved_bytes(module, x) < (1.25 + gate_copy / 9) * saved_bytes(dense, x)


@pytest.mark.parametrize("count", [3, 8])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_upcycled_experts_start_with_the_output_of_the_dense_layer(count, dtype):
    torch.manual_seed(0)
    dense, x = FeedForward(48).to(dtype), 3 * torch.randn(4096, 48, dtype=dtype)
    module = Experts.from_feed_forward(dense, experts=count)
    assert {parameter.dtype for parameter in module.parameters()} == {dtype}
    assert_near(module(x), dense(x), TOLERANCE[dtype])
    assert torch.allclose(module.gate(x).probabilities, torch.tensor(1 / count), rtol=1e-6)
    assert torch.bincount(module.gate(x).expert.flatten(), minlength=count).min() > 0


@pytest.mark.parametrize(("width", "ratio"), [(3, 2.4), (10, 2.7), (49, 1.5 / 49)])
def test_upcycling_keeps_the_hidden_width_and_the_dense_layer(width, ratio):
    dense = FeedForward(width, ratio)
    before = copy.deepcopy(dense.state_dict())
    module = Experts.from_feed_forward(dense, experts=2)
    assert module.up_weight.shape[1] == len(dense.layers[0][0].weight)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(before[name], value) for name, value in dense.state_dict().items())


def test_upcycling_repeats_with_its_seed():
    dense = FeedForward(8)
    first, same, other = (Experts.from_feed_forward(dense, seed=seed).gate.weight for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_first_weights_are_small_and_biases_zero():
    torch.manual_seed(0)
    module = Experts(64)
    for weight in (module.gate.weight, module.up_weight, module.down_weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not module.up_bias.any()
    assert not module.down_bias.any()


def test_parameters_of_the_published_table():
    """SkySense V2: 1332.70 M more than 661.40 M with 8 experts; 1.23 B and 3.52 B with 4 and 16."""

    def added(count):
        with torch.device("meta"):
            return sum(
                blocks * (size(Experts(width, experts=count)) - size(FeedForward(width)))
                for width, blocks in ((1408, 4), (2816, 2))
            )

    def size(module):
        return sum(parameter.numel() for parameter in module.parameters())

    assert added(8) == 1_332_700_160
    assert [round(0.66140 + added(count) / 1e9, 2) for count in (4, 8, 16)] == [1.23, 1.99, 3.52]


def routing_of(logits):
    probabilities = logits.softmax(-1)
    value, expert = probabilities.max(-1)
    return Routing(expert, value, probabilities)


def test_balance_loss_by_hand():
    torch.manual_seed(0)
    routing = routing_of(torch.randn(3, 7, 4))
    by_hand = 0.0
    for number in range(4):
        fraction = sum(chosen == number for chosen in routing.expert.flatten().tolist()) / 21
        by_hand += fraction * sum(routing.probabilities[..., number].flatten().tolist()) / 21
    assert balance_loss(routing).item() == pytest.approx(4 * by_hand, rel=1e-5)


def test_balance_loss_is_one_when_even_and_the_number_of_experts_when_collapsed():
    even = 50 * torch.eye(4).repeat(5, 1)
    assert balance_loss(routing_of(even)).item() == pytest.approx(1)
    assert balance_loss(routing_of(even[:1])).item() == pytest.approx(4)
    assert balance_loss(routing_of(torch.zeros(0, 4))) == 0


def test_balance_loss_spreads_the_tokens():
    torch.manual_seed(0)
    gate, x = Gate(8, experts=4), torch.randn(400, 8) + 1
    with torch.no_grad():
        gate.weight[2] += 0.3  # most tokens prefer one expert
    before = torch.bincount(gate(x).expert, minlength=4)
    optimizer = torch.optim.SGD(gate.parameters(), lr=0.3)
    for _ in range(100):
        optimizer.zero_grad()
        balance_loss(gate(x)).backward()
        optimizer.step()
    after = torch.bincount(gate(x).expert, minlength=4)
    assert before.max() > 350
    assert after.max() < 200
    assert balance_loss(gate(x)) < 1.1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_upcycled_tokens_are_spread_in_every_dtype(dtype):
    torch.manual_seed(0)
    dense, tokens = FeedForward(32).to(dtype), torch.randn(2000, 32).to(dtype)
    experts = Experts.from_feed_forward(dense, experts=8)
    assert torch.bincount(experts.gate(tokens).expert, minlength=8).min() > 20
    assert torch.allclose(experts(tokens).float(), dense(tokens).float(), rtol=2e-2, atol=2e-3)
