"""The three levels of one source come together."""

import pytest
import torch
from loss_cases import make_contrast, make_views

from skysense_nb.errors import ParameterError
from skysense_nb.pretraining.fine_grained import fine_grained_loss
from skysense_nb.pretraining.image_loss import image_loss
from skysense_nb.pretraining.object_loss import object_loss
from skysense_nb.pretraining.pixel_loss import pixel_loss


def test_each_level_is_its_own_loss():
    contrast, views = make_contrast().eval(), make_views()
    terms = fine_grained_loss(*views, contrast, clusters=3)
    student, teacher, _, valid = views
    assert list(terms) == ["pixel", "object", "image"]
    assert torch.equal(terms["pixel"], pixel_loss(*views, contrast))
    assert torch.equal(terms["object"], object_loss(*views, contrast, clusters=3))
    assert torch.equal(terms["image"], image_loss(student, teacher, valid, contrast))


def test_every_level_moves_its_own_centre_only():
    contrast, views = make_contrast(), make_views()
    before = contrast.centres.clone()
    fine_grained_loss(*views, contrast, levels=("pixel", "image"))
    assert (contrast.centres != before).any(1).tolist() == [True, False, True]


def test_an_unknown_level_is_refused():
    with pytest.raises(ParameterError, match="got scene"):
        fine_grained_loss(*make_views(), make_contrast(), levels=("pixel", "scene"))


def test_training_on_it_lets_a_student_recognise_cells():
    contrast, (student, teacher, match, valid) = make_contrast(), make_views(batch=4)
    layer = torch.nn.Linear(student.shape[-1], student.shape[-1])
    optimiser = torch.optim.Adam([*layer.parameters(), *contrast.student.parameters()], lr=0.01)
    losses = []
    for _ in range(60):
        loss = sum(fine_grained_loss(layer(student.detach()), teacher, match, valid, contrast.eval()).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
