"""Queries read a view through attention, and each is compared with itself."""

import pytest
import torch
from loss_cases import WIDTH, make_contrast, mean, slow_contrast

from skysense_nb.pretraining.query_loss import QueryDecoder, query_loss


def make_decoder(heads=3):
    """A decoder that is far from the identity."""
    torch.manual_seed(0)
    decoder = QueryDecoder(WIDTH, heads, queries=4)
    with torch.no_grad():
        for value in decoder.parameters():
            value.add_(torch.randn_like(value) * 0.3)
    return decoder


def make_queries(seed=0):
    return torch.randn(4, 2, 3, WIDTH, generator=torch.Generator().manual_seed(seed)).unbind()


def test_equals_the_slow_formula():
    contrast = make_contrast(levels=("query",)).eval()
    g, g_teacher, local, local_teacher = make_queries()
    slow = mean(
        (
            slow_contrast(contrast, g[b, m], local_teacher[b, m], "query")
            + slow_contrast(contrast, local[b, m], g_teacher[b, m], "query")
        )
        / 2
        for b in range(2)
        for m in range(3)
    )
    assert query_loss(g, g_teacher, local, local_teacher, contrast).item() == pytest.approx(slow, rel=1e-4)


def test_gradients_reach_both_students_and_no_teacher():
    contrast, queries = make_contrast(levels=("query",)), [value.clone().requires_grad_() for value in make_queries()]
    query_loss(*queries, contrast).backward()
    assert queries[0].grad.abs().min() > 0 and queries[2].grad.abs().min() > 0
    assert queries[1].grad is None and queries[3].grad is None


def test_swapping_the_views_or_turning_the_batch_changes_nothing():
    contrast, (g, g_teacher, local, local_teacher) = make_contrast(levels=("query",)).eval(), make_queries()
    before = query_loss(g, g_teacher, local, local_teacher, contrast)
    swapped = query_loss(local, local_teacher, g, g_teacher, contrast)
    turned = query_loss(*(value.flip(0) for value in (g, g_teacher, local, local_teacher)), contrast)
    assert torch.allclose(swapped, before, atol=1e-6) and torch.allclose(turned, before, atol=1e-6)


def test_the_decoder_is_one_layer_as_written_head_by_head():
    decoder, tokens = make_decoder().eval(), torch.randn(1, 5, WIDTH, generator=torch.Generator().manual_seed(1))
    cross, width = decoder.cross_attention, WIDTH // 3
    queries = decoder.queries + decoder.self_attention(decoder.query_norm(decoder.queries))
    asked, offered = decoder.read_norm(queries)[0], decoder.token_norm(tokens)[0]
    q, k, v = (
        side @ weight.T + bias
        for side, weight, bias in zip(
            (asked, offered, offered), cross.in_proj_weight.split(WIDTH), cross.in_proj_bias.split(WIDTH), strict=True
        )
    )
    parts, shares = [], []
    for head in range(3):
        cut = slice(head * width, (head + 1) * width)
        shares.append((q[:, cut] @ k[:, cut].T / width**0.5).softmax(-1))
        parts.append(shares[-1] @ v[:, cut])
    queries = queries + cross.out_proj(torch.cat(parts, dim=1))
    expected = queries + decoder.feed_forward(decoder.feed_norm(queries))
    assert torch.allclose(decoder(tokens), expected, atol=1e-4)
    assert torch.allclose(decoder.attention(tokens)[0], sum(shares) / 3, atol=1e-5)


def test_the_order_of_tokens_does_not_matter_and_attention_follows_it():
    decoder, tokens = make_decoder(), torch.randn(2, 7, WIDTH, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(decoder(tokens), decoder(tokens.flip(1)), atol=1e-5)
    assert torch.allclose(decoder.attention(tokens), decoder.attention(tokens.flip(1)).flip(2), atol=1e-5)
    assert torch.allclose(decoder.attention(tokens).sum(2), torch.ones(2, 4), atol=1e-5)


def test_queries_stay_apart():
    gathered = make_decoder()(torch.randn(1, 7, WIDTH))
    assert torch.pdist(gathered[0]).min() > 0.1


def test_it_trains_under_autocast():
    decoder, contrast = make_decoder(), make_contrast(levels=("query",))
    tokens = torch.randn(2, 7, WIDTH)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = decoder(tokens)
        query_loss(out, out, out, out, contrast).backward()
    assert all(value.grad.isfinite().all() for value in decoder.parameters())
    assert decoder.queries.grad.abs().max() > 0
