"""FitNet: regression of the teacher's vectors, at the intermediate layer."""

import torch
from torch import nn
from torch.nn.functional import normalize

from recbole_kd.backbone.capabilities import FACTORS
from recbole_kd.losses import at_least_float32
from recbole_kd.losses.feature import squared_distance
from recbole_kd.ops.sampling import sample_subset
from recbole_kd.term.base import Term
from recbole_kd.term.projectors import Projector


class FitNet(Term):
    r"""The student's projected vectors are pulled to the teacher's, over users and items that need not be the batch's.

    .. math:: L = \mathrm{mean}_{R_U} \ell + \mathrm{mean}_{R_I} \ell, \quad
        \ell(x) = \tfrac{1}{d_T} \| e^T_x - p(e^S_x) \|^2

    R_U and R_I are drawn anew each step, uniform and without replacement from all users and all items: ``kd_rows`` of
    each, or as many as the batch has positive rows where that is 0.

    Source: Romero et al., ICLR 2015 (arXiv 1412.6550), for recommenders after a third party's code; sure.
    """

    layer = "intermediate"
    teacher_needs = FACTORS
    student_needs = FACTORS
    reads_scores = False

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        self.user_projector, self.item_projector = self._projector(), self._projector()
        self.everyone = {
            side: torch.arange(1, size, device=config["device"])
            for side, size in (("user", knowledge.n_users), ("item", knowledge.n_items))
        }

    def _projector(self):
        width = self.knowledge.width
        if self.key("projector") == "linear":
            return nn.Linear(self.width, width)
        hidden = max(1, round(self.key("hidden_ratio") * width))
        return Projector(self.width, width, hidden, dropout=self.key("dropout"))

    def loss(self, batch):
        user = self._mean("user", batch, batch.student.users)
        return user + self._mean("item", batch, batch.student.items)

    def project(self, side, ids, vectors):
        """Student's vectors, shape [n, d_S], into the teacher's space, [n, d_T]."""
        projector = self.user_projector if side == "user" else self.item_projector
        return projector(vectors) if self.key("projector") == "linear" else projector(vectors, self.generator)

    def _mean(self, side, batch, vectors):
        everyone = self.everyone[side]
        whole = min(round(self.positives(batch)), len(everyone))
        ids = sample_subset(everyone, self.config["kd_rows"] or whole, self.generator)
        student, teacher = self.project(side, ids, vectors(ids)), self.knowledge.factors(side)[ids]
        if self.key("unit"):
            student, teacher = (normalize(at_least_float32(part), dim=-1) for part in (student, teacher))
        return self.reduce(squared_distance(student, teacher), whole, self.knowledge.width)
