"""FitNet: regression of the teacher's vectors, at the intermediate layer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import normalize

from recbole_kd.backbone.capabilities import VECTORS
from recbole_kd.config.configurator import Config
from recbole_kd.losses import at_least_float32, squared_distance
from recbole_kd.ops.sampling import sample_subset
from recbole_kd.term.base import Term
from recbole_kd.term.batch import Batch
from recbole_kd.term.projectors import ProjectorPair


class FitNet(Term):
    r"""The student's projected vectors are pulled to the teacher's, over users and items that need not be the batch's.

    .. math:: L = \mathrm{mean}_{R_U} \ell + \mathrm{mean}_{R_I} \ell, \quad
        \ell(x) = \tfrac{1}{d_T} \| e^T_x - p(e^S_x) \|^2

    R_U and R_I are drawn anew each step, uniformly and without replacement, from all users and all items; for a
    sequence student R_U is drawn from the batch's rows, whose vectors alone a step makes. Each has
    ``kd_rows`` entries; with ``kd_rows: 0``, as many as the batch has positive rows. :math:`e^T` and :math:`e^S` are
    the vectors of teacher and student, p the projector, :math:`d_T` the teacher's width.

    Source: Romero et al., ICLR 2015 (arXiv 1412.6550).

    Fidelity: high, after a third party's code for recommenders.
    """

    layer = "intermediate"
    teacher_needs = VECTORS
    student_needs = VECTORS
    reads_scores = False

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        if self.key("projector") == "linear":
            self.projectors = ProjectorPair(lambda: nn.Linear(width, knowledge.width))
        else:
            ratio, dropout = self.key("hidden_ratio"), self.key("dropout")
            self.projectors = ProjectorPair.of_experts(width, knowledge.width, ratio, dropout=dropout)
        self.all_ids = {
            side: torch.arange(1, size, device=config["device"])
            for side, size in (("user", knowledge.n_queries), ("item", knowledge.n_items))
        }

    def loss(self, batch: Batch) -> torch.Tensor:
        user = self._mean("user", batch, batch.student.query_vectors)
        return user + self._mean("item", batch, batch.student.item_vectors)

    def project(self, side: str, ids: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Project the student's vectors, shape [n, d_S], into the teacher's space, [n, d_T]."""
        return self.projectors.project(side, vectors, self.generator)

    def _mean(self, side: str, batch: Batch, vectors: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        all_ids = batch.queries if side == "user" and self.knowledge.per_row else self.all_ids[side]
        population = min(round(self.positives(batch)), len(all_ids))
        ids = sample_subset(all_ids, self.config["kd_rows"] or population, self.generator)
        student, teacher = self.project(side, ids, vectors(ids)), self.knowledge.factors(side)[ids]
        if self.key("unit"):
            student, teacher = (normalize(at_least_float32(vectors), dim=-1) for vectors in (student, teacher))
        return self.reduce(squared_distance(student, teacher), population, self.knowledge.width)
