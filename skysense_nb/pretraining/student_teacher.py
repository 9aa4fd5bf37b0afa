"""Student, teacher and everything the losses need: the networks of one pre-training run, and its step.

SkySense (CVPR 2024, §3.3): the student reads all views, the teacher the large ones; L = α L_MGCL + β L_align, where
L_MGCL compares each sensor's features and the fused ones at three levels. SkySense V2 (ICCV 2025) adds the query loss
and the alignment with text, both on the fused features. The teacher follows the student and gets no gradient.
"""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from skysense_nb.models.geo_context import GeoContext, GeoContextConfig
from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.pretraining.alignment_loss import Alignment
from skysense_nb.pretraining.contrast import Contrast
from skysense_nb.pretraining.crops import View, Views, matching
from skysense_nb.pretraining.fine_grained import fine_grained_loss
from skysense_nb.pretraining.heads import Heads
from skysense_nb.pretraining.projection import ProjectionHead
from skysense_nb.pretraining.prototype_update import PrototypeReport, start_usage, update_prototypes
from skysense_nb.pretraining.query_loss import QueryDecoder, query_loss
from skysense_nb.pretraining.recipe import SOURCES, Recipe
from skysense_nb.pretraining.teacher import update_teacher
from skysense_nb.pretraining.text_loss import TextAlignment


@dataclass
class Reading:
    """What a model made of one view.

    Attributes:
        sources: Per source (hr, s2, s1, fused) features on ground cells, B T N D; the fused source has one date.
        valid: Per source which dates are valid, B T.
        lonlat: B 2, degrees, or None.
    """

    sources: dict[str, Tensor]
    valid: dict[str, Tensor]
    lonlat: Tensor | None


class StudentTeacher(nn.Module):
    """The networks of a run; `losses` is one step up to the gradient, `follow` what comes after the optimiser.

    Args:
        model: The student; the teacher starts as its copy.
        recipe: Which terms are on, sizes of heads.
        text_table: Vectors of the classes that tags name, K D; only for the text term.
    """

    def __init__(self, model: MultiModalModel, recipe: Recipe, text_table: Tensor | None = None) -> None:
        super().__init__()
        self.recipe, terms = recipe, recipe.terms
        self.student, self.teacher = model, deepcopy(model).requires_grad_(False)
        cells, fused = model.config.fusion.input_dims, model.config.fusion.embed_dims
        widths = {source: fused if source == "fused" else cells for source in SOURCES}
        self.contrasts = nn.ModuleDict()
        if terms.levels:
            self.contrasts.update({source: self.contrast(width) for source, width in widths.items()})
        self.alignment = Alignment(cells) if terms.alignment else None
        self.decoder = self.teacher_decoder = self.query_contrast = None
        if terms.queries:
            self.decoder = QueryDecoder(fused, model.config.fusion.num_heads, recipe.queries)
            self.teacher_decoder = deepcopy(self.decoder).requires_grad_(False)
            self.query_contrast = self.contrast(fused, levels=("query",))
        self.text = TextAlignment(fused, text_table) if terms.text else None
        self.bank = None
        if recipe.geo_regions:
            sizes = GeoContextConfig(recipe.geo_regions, recipe.geo_prototypes, fused)
            self.bank = GeoContext(sizes, fused)
            self.register_buffer("usage", start_usage(self.bank))

    def contrast(self, width: int, **options: Any) -> Contrast:
        """A contrast with a head of the recipe's sizes."""
        recipe = self.recipe
        head = ProjectionHead(width, recipe.hidden, recipe.bottleneck, recipe.prototypes)
        return Contrast(head, balanced=recipe.balanced, **options)

    def losses(self, views: Views, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Every term that is on, already weighted; their sum is the loss.

        Args:
            views: Of one batch of tiles.
            generator: For the cells that the alignment draws.

        Returns:
            Scalars such as `hr/pixel`, `alignment/hr-s2`, `queries`, `text`.
        """
        terms, large = self.recipe.terms, [views.first, views.second]
        students = read_views(self.student, [*large, *views.local])
        with torch.no_grad():
            teachers = read_views(self.teacher, [*large, *(views.local if terms.queries else [])])
        found = defaultdict(list)
        self.compare_views(students, teachers, [*large, *views.local], found)
        if self.alignment is not None:
            for student in students[:2]:
                sensors = {name: rows for name, rows in student.sources.items() if name != "fused"}
                pairs = self.alignment(sensors, {name: student.valid[name] for name in sensors}, generator)
                for pair, loss in pairs.items():
                    found[f"alignment/{pair}"].append(terms.alignment * loss)
        if self.decoder is not None:
            for index in range(2, len(students)):
                found["queries"].append(terms.queries * self.compare_queries(students, teachers, index))
        if self.text is not None:
            for student, view in zip(students[:2], large, strict=True):
                tags = view.labels["tags"].flatten(2).transpose(1, 2)  # B N K
                found["text"].append(terms.text * self.text(student.sources["fused"][:, 0], tags))
        self.last_teacher = teachers[0]
        return {name: torch.stack(values).mean() for name, values in found.items()}

    def compare_views(
        self, students: list[Reading], teachers: list[Reading], views: list[View], found: dict[str, list[Tensor]]
    ) -> None:
        """L_MGCL of every student view with both large teacher views but itself."""
        levels = self.recipe.terms.levels
        for v in range(2):
            for u in (u for u in range(len(students)) if u != v and levels):
                match = matching(views[u], views[v])
                for source, features in students[u].sources.items():
                    goal = teachers[v].sources[source]
                    valid = students[u].valid[source] & teachers[v].valid[source]
                    contrast, clusters = self.contrasts[source], self.recipe.clusters
                    compared = fine_grained_loss(features, goal, match, valid, contrast, tuple(levels), clusters)
                    for level, loss in compared.items():
                        found[f"{source}/{level}"].append(levels[level] * loss)

    def compare_queries(self, students: list[Reading], teachers: list[Reading], local: int) -> Tensor:
        """L_QSACL between one large and one small view; they take turns."""
        large = local % 2
        asked = [self.decoder(students[index].sources["fused"][:, 0]) for index in (large, local)]
        with torch.no_grad():
            goals = [self.teacher_decoder(teachers[index].sources["fused"][:, 0]) for index in (large, local)]
        return query_loss(asked[0], goals[0], asked[1], goals[1], self.query_contrast)

    @torch.no_grad()
    def follow(self, momentum: float) -> PrototypeReport | None:
        """Moves prototypes, then the teacher and its heads; what the prototypes did, if any are learned."""
        report = None
        if self.bank is not None and self.last_teacher.lonlat is not None:
            cells, place = self.last_teacher.sources["fused"][:, 0], self.last_teacher.lonlat
            report = update_prototypes(self.bank, cells, place, self.recipe.geo_momentum, usage=self.usage)
        update_teacher(self.teacher, self.student, momentum)
        contrasts = [*self.contrasts.values(), *([self.query_contrast] if self.query_contrast is not None else [])]
        for contrast in contrasts:
            update_teacher(contrast.teacher, contrast.student, momentum)
        if self.decoder is not None:
            update_teacher(self.teacher_decoder, self.decoder, momentum)
        return report

    def heads(self) -> Heads:
        """The heads that are of use after the run."""
        return Heads(self.alignment, self.teacher_decoder, self.text)

    def result(self) -> MultiModalModel:
        """A copy of the teacher in evaluation mode, with the prototypes as its geo-context if any were learned."""
        model = deepcopy(self.teacher).eval()
        model.name = self.recipe.preset
        if self.bank is not None:
            model.config = replace(model.config, context=self.bank.config)
            model.context = deepcopy(self.bank)
        return model

    def set_teacher_temperature(self, value: float) -> None:
        """Sharpness of the teacher's targets, for all sources."""
        for part in self.modules():
            if isinstance(part, Contrast):
                part.teacher_temperature = value


def read_views(model: MultiModalModel, views: list[View]) -> list[Reading]:
    """Features of views; views of one size go through the model together."""
    readings: dict[int, Reading] = {}
    for size in dict.fromkeys(view.cells for view in views):
        indices = [index for index, view in enumerate(views) if view.cells == size]
        joined = {name: torch.cat([views[i].sample[name] for i in indices]) for name in views[indices[0]].sample}
        features = model.features(joined, cells=True)
        sources = {name: cells.flatten(3).transpose(2, 3) for name, cells in features.cells.items()}  # B T N D
        sources["fused"] = features.fused.flatten(2).transpose(1, 2)[:, None]  # B 1 N D
        valid = {name: joined[f"{name}_valid"] for name in features.cells}
        valid["fused"] = features.valid.any(1, keepdim=True)
        for number, index in enumerate(indices):
            part = {
                table: {name: rows.chunk(len(indices))[number] for name, rows in values.items()}
                for table, values in (("sources", sources), ("valid", valid))
            }
            readings[index] = Reading(**part, lonlat=views[index].sample.get("lonlat"))
    return [readings[index] for index in range(len(views))]
