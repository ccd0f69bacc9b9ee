"""VkD: regression of the teacher's vectors through an orthogonal projector, at the intermediate layer."""

import torch
from torch import nn
from torch.nn.functional import normalize
from torch.nn.utils.parametrizations import orthogonal

from recbole_kd.losses import at_least_float32
from recbole_kd.losses.feature import squared_distance
from recbole_kd.term.alignment import Alignment


class VkD(Alignment):
    r"""A projector that keeps every inner product is trained towards the teacher's centred vectors.

    .. math:: L = \mathrm{mean}_{U_b} \ell + \tfrac12 (\mathrm{mean}_{P_b} \ell + \mathrm{mean}_{N_b} \ell), \quad
        \ell(x) = \tfrac{1}{d_T} \| (e^T_x - \bar e^T) - W e^S_x \|^2, \quad W^\top W = I

    Where the teacher is the narrower one it is :math:`W W^\top = I`. The mean is that of all users, or items.

    Source: Miles et al., VkD, CVPR 2024, for recommenders after a third party's code, which centres over the batch and
    draws the rows as FitNet does.
    """

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        self.user_projector, self.item_projector = self._projector(), self._projector()
        self.targets = {side: self._target(knowledge.factors(side)) for side in ("user", "item")}

    def _projector(self):
        # torch's default, householder, has -1s among its parameters that it truncates: any weight decay makes them 0
        return orthogonal(nn.Linear(self.width, self.knowledge.width, bias=False), orthogonal_map="cayley")

    def _target(self, table):
        if self.key("center"):
            table = table - table[1:].mean(0)
        return normalize(table, dim=-1) if self.key("unit") else table

    def compare(self, side, ids, vectors):
        projected = self.project(side, ids, vectors)
        if self.key("unit"):
            projected = normalize(projected, dim=-1)
        return squared_distance(projected, self.targets[side][ids])

    def project(self, side, ids, vectors):
        """Student's vectors, shape [n, d_S], into the teacher's space, [n, d_T], in float32."""
        with torch.autocast(vectors.device.type, enabled=False):
            return self.projector(side)(at_least_float32(vectors))
