"""NKD: distillation with neighbour-based knowledge, at the input layer."""

import torch

from recbole_kd.backbone.capabilities import FACTORS
from recbole_kd.losses.feature import cosine_loss, mix_soft
from recbole_kd.term.base import Term
from recbole_kd.term.projectors import Projector


class NKD(Term):
    r"""Each user's and item's vector is mixed with that of a neighbour in the teacher's space, on both sides; the
    projected student's is pulled to the teacher's by the cosine.

    .. math:: L = \mathrm{mean}_{U_b} \ell + \tfrac12 (\mathrm{mean}_{P_b} \ell + \mathrm{mean}_{N_b} \ell),
        \quad \ell(x) = 1 - \cos(p(\tilde e^S_x), \tilde e^T_x)

    Source: Zhu & Zhang, arXiv 2311.04549 v1, whose text could not be had: after the authors' code. The student's
    neighbours are the teacher's; the mixing weights of the two sides are drawn apart, as their widths differ.
    """

    layer = "input"
    teacher_needs = FACTORS
    student_needs = FACTORS
    needs_negatives = True
    reads_scores = False

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        hidden = max(1, round(self.key("hidden_ratio") * knowledge.width))
        shape = (width, knowledge.width, hidden, self.key("experts"), self.key("dropout"))
        self.user_projector, self.item_projector = Projector(*shape), Projector(*shape)
        self.neighbours = {
            side: knowledge.neighbours(side, self.key("k"), self.key("pca")).long() for side in ("user", "item")
        }

    def loss(self, batch):
        student = batch.student
        (user,) = self._means("user", [batch.users], student.users)
        pos, neg = self._means("item", [batch.pos_items, batch.neg_items], student.items)
        return user + 0.5 * (pos + neg)

    def project(self, side, ids, vectors):
        """Student's vectors, shape [n, d_S], into the teacher's space, [n, d_T]."""
        return (self.user_projector if side == "user" else self.item_projector)(vectors, self.generator)

    def _means(self, side, groups, vectors):
        """The loss of each group of ids; they go through the projector together."""
        some = [self.subsample(ids) for ids in groups]
        ids = torch.cat(some)
        neighbours = self.neighbours[side]
        drawn = torch.randint(neighbours.shape[1], (len(ids),), generator=self.generator, device=ids.device)
        both = torch.cat([ids, neighbours[ids, drawn]])
        own = self._mix(*vectors(both).chunk(2))
        target = self._mix(*self.knowledge.factors(side)[both].chunk(2))
        values = cosine_loss(self.project(side, ids, own), target).split([len(part) for part in some])
        return [self.reduce(value, len(whole)) for value, whole in zip(values, groups, strict=True)]

    def _mix(self, own, other):
        alpha = self.key("alpha")
        draw = torch.rand(own.shape, generator=self.generator, device=own.device)
        if self.key("mix") == "hard":
            return torch.where(draw < alpha, own, other)
        if self.key("mix") == "soft-v1":
            return mix_soft(own, other, 1.0 - alpha * draw)
        return mix_soft(own, other, 2.0 * alpha * draw)
