"""Base classes of the terms that pull each projected vector of the student to the teacher's."""

from typing import Any

import torch

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import VECTORS
from recbole_kd.backbone.views import FactorView
from recbole_kd.config.configurator import Config
from recbole_kd.losses import squared_distance
from recbole_kd.term.base import Term, combine_sides
from recbole_kd.term.batch import Batch
from recbole_kd.term.projectors import Experts, ProjectorPair
from recbole_kd.term.schedule import geometric_decay


class Alignment(Term):
    r"""A value for each entity, over the batch's distinct users, positive items and negative items.

    .. math:: L = \mathrm{mean}_{U_b} \ell + \tfrac12 (\mathrm{mean}_{P_b} \ell + \mathrm{mean}_{N_b} \ell)

    A subclass gives ``values`` or ``compare``, and makes ``projectors``.

    Attributes:
        projectors: the trainable projectors of users and items.
        coordinates: the number of coordinates that an entity's value sums over; the mean is over them too.
    """

    layer = "intermediate"
    teacher_needs = VECTORS
    student_needs = VECTORS
    needs_negatives = True
    reads_scores = False
    projectors: ProjectorPair

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        self.coordinates = knowledge.width

    def loss(self, batch: Batch) -> torch.Tensor:
        groups = (batch.queries, batch.pos_items, batch.neg_items)
        drawn = [self.subsample(ids) for ids in groups]
        # the items of both kinds in one pass: each gathering costs a table of gradients
        values = self.values(batch.student, drawn[0], torch.cat(drawn[1:])).split([len(ids) for ids in drawn])
        user, pos, neg = (
            self.reduce(value, len(group), self.coordinates) for value, group in zip(values, groups, strict=True)
        )
        return combine_sides(user, pos, neg)

    def values(self, student: FactorView, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """A value for each of the users and then of the items, shape [n]."""
        sides = (("user", users, student.query_vectors), ("item", items, student.item_vectors))
        return torch.cat([self.compare(side, ids, vectors(ids)) for side, ids, vectors in sides])

    def compare(self, side: str, ids: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """The value of each entity: ids [n], the student's vectors [n, d_S], result [n]."""
        return squared_distance(self.project(side, ids, vectors), self.knowledge.factors(side)[ids])

    def project(self, side: str, ids: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Project the student's vectors, shape [n, d_S], into the teacher's space, [n, d_T]."""
        return self.projectors.project(side, vectors, self.generator)


class GatedAlignment(Alignment):
    """An alignment through experts whose gates harden over the epochs.

    Attributes:
        experts_key: the key that gives the number of experts of a side.
        halves_equal_widths: whether an expert's hidden width is half of the student's where the teacher is as wide, as
            in the authors' code of DE; else it is the mean of both widths.
        tau: the gates' temperature.
    """

    experts_key: str = "experts"
    halves_equal_widths: bool = True

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        halved = width == knowledge.width and self.halves_equal_widths
        hidden = max(1, width // 2 if halved else (width + knowledge.width) // 2)
        self.projectors = ProjectorPair(lambda: Experts(width, knowledge.width, hidden, self.key(self.experts_key)))
        self.tau: float = self.key("tau_start")

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        self.tau = geometric_decay(epoch, self.key("anneal"), self.key("tau_start"), self.key("tau_end"))

    def project(self, side: str, ids: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Project the student's vectors, shape [n, d_S], to [n, d_T], with fresh noise in the gates."""
        return self.projectors.of(side)(vectors, self.knowledge.factors(side)[ids], self.tau, self.generator)
