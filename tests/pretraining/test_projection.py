"""The projection head gives cosines with its prototypes."""

import torch

from skysense_nb.pretraining.projection import ProjectionHead


def test_scores_are_cosines_with_the_prototypes():
    torch.manual_seed(0)
    head, x = ProjectionHead(6, 16, 5, 9), torch.randn(2, 3, 6)
    out, inside = head(x), head.layers(x)
    for place in ((0, 0), (1, 2)):
        for number, prototype in enumerate(head.prototypes):
            cosine = (inside[place] @ prototype) / (inside[place].norm() * prototype.norm())
            assert torch.allclose(out[place][number], cosine, atol=1e-6)


def test_the_length_of_a_prototype_says_nothing_and_gets_no_gradient():
    torch.manual_seed(0)
    head, x = ProjectionHead(6, 16, 5, 9), torch.randn(4, 6)
    before = head(x)
    before[:, 2].sum().backward()
    along = (head.prototypes.grad[2] * head.prototypes[2]).sum()
    assert along.abs() < 1e-6 < head.prototypes.grad[2].norm()
    with torch.no_grad():
        head.prototypes[2] *= 10
    assert torch.allclose(head(x), before, atol=1e-6)


def test_scores_stay_fp32_under_autocast():
    torch.manual_seed(0)
    head, x = ProjectionHead(6, 16, 5, 9), torch.randn(4, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = head(x.bfloat16())
    assert inside.dtype == torch.float32
    assert torch.allclose(inside, head(x), atol=0.05)
    assert head.bfloat16()(x.bfloat16()).dtype == torch.float32
