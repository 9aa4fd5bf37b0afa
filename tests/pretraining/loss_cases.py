"""Small contrasts and pairs of views, and the contrast once more as slow loops, for the tests of this folder."""

import math

import torch

from skysense_nb.pretraining.contrast import LEVELS, Contrast
from skysense_nb.pretraining.projection import ProjectionHead

WIDTH, PROTOTYPES = 12, 7


def make_contrast(seed=0, levels=LEVELS, **options):
    """A contrast whose teacher head and centres differ from where they start."""
    torch.manual_seed(seed)
    contrast = Contrast(ProjectionHead(WIDTH, 16, 8, PROTOTYPES), levels, **options)
    with torch.no_grad():
        for value in (*contrast.student.parameters(), *contrast.teacher.parameters()):
            value.add_(torch.randn_like(value) * 0.3)
        contrast.centres.normal_(std=0.05)
    return contrast


def make_views(batch=2, dates=3, cells=9, seed=0):
    """Student B T N D, which wants gradients, teacher B T N D, match B N with gaps, valid B T with gaps."""
    g = torch.Generator().manual_seed(seed)
    student = torch.randn(batch, dates, cells, WIDTH, generator=g, requires_grad=True)
    teacher = torch.randn(batch, dates, cells, WIDTH, generator=g)
    match = torch.stack([torch.randperm(cells, generator=g) for _ in range(batch)])
    match[0, :3], match[1:, 5] = -1, -1
    valid = torch.ones(batch, dates, dtype=torch.bool)
    valid[-1, 1:2] = False
    return student, teacher, match, valid


def slow_contrast(contrast, student, teacher, level):
    """−Σ p log q of one row each, number by number."""
    centre = contrast.centres[contrast.levels.index(level)]
    logits = ((contrast.teacher(teacher) - centre) / contrast.teacher_temperature).tolist()
    answers = (contrast.student(student) / contrast.student_temperature).tolist()
    highest = max(logits)
    weights = [math.exp(value - highest) for value in logits]
    total = math.log(sum(math.exp(value) for value in answers))
    return -sum(w / sum(weights) * (answer - total) for w, answer in zip(weights, answers, strict=True))


def mean(values):
    values = list(values)
    return sum(values) / len(values)
