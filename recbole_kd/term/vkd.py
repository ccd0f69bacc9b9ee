"""VkD: regression of the teacher's vectors through an orthogonal projector, at the intermediate layer."""

from typing import Any

import torch
from torch import nn
from torch.nn.functional import normalize
from torch.nn.utils.parametrizations import orthogonal

from recbole_kd.config.configurator import Config
from recbole_kd.losses import at_least_float32, squared_distance
from recbole_kd.term.alignment import Alignment
from recbole_kd.term.projectors import ProjectorPair


class VkD(Alignment):
    r"""A projector that keeps every inner product is trained towards the teacher's centred vectors.

    .. math:: L = \mathrm{mean}_{U_b} \ell + \tfrac12 (\mathrm{mean}_{P_b} \ell + \mathrm{mean}_{N_b} \ell), \quad
        \ell(x) = \tfrac{1}{d_T} \| (e^T_x - \bar e^T) - W e^S_x \|^2, \quad W^\top W = I

    Where the teacher is the narrower one it is :math:`W W^\top = I`. The mean is that of all users, or items.

    Source: Miles et al., VkD, CVPR 2024 (arXiv 2403.06213).

    Fidelity: high, after a third party's code for recommenders, which centres over the batch and draws the rows as
    FitNet does.
    """

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        self.projectors = ProjectorPair(self._projector)
        self.targets = {side: self._target(knowledge.factors(side)) for side in ("user", "item")}

    def _projector(self) -> nn.Module:
        # torch's default, householder, keeps -1s among its parameters, which weight decay would move towards 0
        return orthogonal(nn.Linear(self.width, self.knowledge.width, bias=False), orthogonal_map="cayley")

    def _target(self, table: torch.Tensor) -> torch.Tensor:
        if self.key("center"):
            table = table - table[1:].mean(0)
        return normalize(table, dim=-1) if self.key("unit") else table

    def compare(self, side: str, ids: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        projected = self.project(side, ids, vectors)
        if self.key("unit"):
            projected = normalize(projected, dim=-1)
        return squared_distance(projected, self.targets[side][ids])

    def project(self, side: str, ids: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Project the student's vectors, shape [n, d_S], into the teacher's space, [n, d_T], in float32."""
        with torch.autocast(vectors.device.type, enabled=False):
            return self.projectors.project(side, at_least_float32(vectors))
