"""Objects: one image's cells in balanced clusters, the same ground on both sides."""

import pytest
import torch
from loss_cases import WIDTH, make_contrast, make_views, mean, slow_contrast

from skysense_nb.pretraining.assignment import sinkhorn
from skysense_nb.pretraining.object_loss import cluster, distant_cells, object_loss


def kinds(per_kind=4, seed=0):
    """Three kinds of cells, far apart, in turn: 1 N D."""
    g = torch.Generator().manual_seed(seed)
    return (torch.eye(3, WIDTH).repeat(per_kind, 1) + 0.1 * torch.randn(3 * per_kind, WIDTH, generator=g))[None]


def test_equals_the_slow_formula():
    contrast, (student, teacher, match, valid) = make_contrast().eval(), make_views()
    terms = []
    for b in range(2):
        shared = [s for s in range(9) if match[b, s] >= 0]
        for t in range(3):
            if not valid[b, t]:
                continue
            mine = [student[b, t, s].detach() for s in shared]
            theirs = [teacher[b, t, int(match[b, s])] for s in shared]
            share = cluster(torch.stack(theirs)[None], torch.ones(1, len(shared), dtype=torch.bool), 4)[0]
            for c in range(4):
                weights = [float(row[c]) for row in share]
                centre, other = (
                    sum(w * cell for w, cell in zip(weights, side, strict=True)) / sum(weights)
                    for side in (mine, theirs)
                )
                terms.append(slow_contrast(contrast, centre, other, "object"))
    fast = object_loss(student, teacher, match, valid, contrast, clusters=4)
    assert fast.item() == pytest.approx(mean(terms), rel=1e-4)


def test_clusters_find_the_kinds_of_cells():
    share = cluster(kinds(), torch.ones(1, 12, dtype=torch.bool), clusters=3)[0]
    found = share.argmax(1).view(4, 3)
    assert (found == found[0]).all() and len(set(found[0].tolist())) == 3
    assert share.max(1).values.min() > 0.95


def test_the_last_assignment_is_sinkhorns_of_cosines_with_the_last_centres():
    cells = torch.randn(1, 10, 5, generator=torch.Generator().manual_seed(0))
    unit = cells[0] / cells[0].norm(dim=1, keepdim=True)
    centres = distant_cells(unit[None], torch.ones(1, 10, dtype=torch.bool), 3)[0]
    for _ in range(3):
        share = sinkhorn(unit @ (centres / centres.norm(dim=1, keepdim=True)).T)
        centres = torch.stack([(share[:, c, None] * unit).sum(0) / share[:, c].sum() for c in range(3)])
    assert torch.allclose(cluster(cells, torch.ones(1, 10, dtype=torch.bool), 3)[0], share, atol=1e-5)


def test_first_centres_are_far_apart_and_only_from_the_mask():
    cells = kinds()
    unit = cells / cells.norm(dim=2, keepdim=True)
    everywhere = torch.ones(1, 12, dtype=torch.bool)
    assert sorted(distant_cells(unit, everywhere, 3)[0].argmax(1).tolist()) == [0, 1, 2]
    mask = everywhere & (torch.arange(12) % 3 < 2)
    assert set(distant_cells(unit, mask, 3)[0].argmax(1).tolist()) == {0, 1}


def test_one_image_does_not_see_another_and_cells_outside_the_mask_do_not_count():
    cells = torch.randn(2, 10, 5, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 10, dtype=torch.bool)
    mask[0, 6:] = False
    together = cluster(cells, mask, 3)
    assert torch.allclose(together[1:], cluster(cells[1:], mask[1:], 3), atol=1e-6)
    assert torch.allclose(together[:1, :6], cluster(cells[:1, :6], mask[:1, :6], 3), atol=1e-6)
    assert together[0, 6:].abs().max() == 0


def test_the_order_of_batch_and_cells_does_not_matter():
    contrast, (student, teacher, match, valid) = make_contrast().eval(), make_views()
    before = object_loss(student, teacher, match, valid, contrast, 4)
    turned = object_loss(student.flip(0), teacher.flip(0), match.flip(0), valid.flip(0), contrast, 4)
    cells = object_loss(student.flip(2), teacher, match.flip(1), valid, contrast, 4)
    assert torch.allclose(turned, before, atol=1e-5) and torch.allclose(cells, before, atol=1e-5)


def test_unmatched_cells_and_invalid_dates_change_nothing():
    contrast, (student, teacher, match, valid) = make_contrast().eval(), make_views()
    before = object_loss(student, teacher, match, valid, contrast)
    other, partner = student.detach().clone(), teacher.clone()
    other[0, :, :3], other[1, 1], partner[1, 1] = 9.0, torch.nan, torch.nan
    partner[0, :, sorted(set(range(9)) - set(match[0].tolist()))] = 9.0
    assert torch.allclose(object_loss(other, partner, match, valid, contrast), before, atol=1e-6)


def test_gradients_reach_shared_cells_and_never_the_teacher():
    contrast, (student, teacher, match, valid) = make_contrast(), make_views()
    teacher.requires_grad_()
    object_loss(student, teacher, match, valid, contrast).backward()
    compared = valid[:, :, None] & (match >= 0)[:, None]
    assert ((student.grad.abs().amax(-1) > 0) == compared).all()
    assert teacher.grad is None


def test_a_single_shared_cell_gives_its_own_contrast():
    contrast, (student, teacher, match, valid) = make_contrast().eval(), make_views(batch=1, dates=1)
    valid[:] = True
    match[0, :8] = -1
    slow = slow_contrast(contrast, student[0, 0, 8], teacher[0, 0, int(match[0, 8])], "object")
    assert object_loss(student, teacher, match, valid, contrast).item() == pytest.approx(slow, rel=1e-4)


def test_images_that_share_no_ground_are_left_out_and_none_at_all_cost_nothing():
    contrast, (student, teacher, match, valid) = make_contrast().eval(), make_views()
    match[0] = -1
    alone = object_loss(student[1:], teacher[1:], match[1:], valid[1:], contrast)
    assert torch.allclose(object_loss(student, teacher, match, valid, contrast), alone, atol=1e-6)
    loss = object_loss(student, teacher, match.fill_(-1), valid, contrast)
    loss.backward()
    assert loss == 0 and student.grad.abs().max() == 0


def test_autocast_and_half_precision_do_not_change_the_centres():
    student, teacher, match, valid = make_views()
    rounded = [side.detach().bfloat16() for side in (student, teacher)]

    def centres(one, other, level):
        return one, other

    outside = object_loss(*(side.float() for side in rounded), match, valid, centres)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = object_loss(*rounded, match, valid, centres)
    assert all(torch.equal(one, other) for one, other in zip(inside, outside, strict=True))
