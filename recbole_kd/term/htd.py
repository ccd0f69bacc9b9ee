"""HTD: hierarchical topology distillation, at the intermediate layer."""

import torch

from recbole_kd.config.configurator import Config
from recbole_kd.losses import group_topology
from recbole_kd.term.alignment import GatedAlignment
from recbole_kd.term.base import refuse_subsampled_sum
from recbole_kd.term.batch import Batch


class HTD(GatedAlignment):
    r"""The teacher's vectors form groups; cosines within a group and with the groups' prototypes are pulled to its own.

    .. math:: L = \alpha L_{TD} + (1 - \alpha) L_{GA}, \quad L_{GA} = \mathrm{mean}_U \ell + \mathrm{mean}_I \ell

    .. math:: L_{TD} = \mathrm{mean}_{c(x) = c(y)} \big(\cos(e^S_x, e^S_y) - \cos(e^T_x, e^T_y)\big)^2
        + \mathrm{mean}_{c, x} \big(\cos(\mathrm{sg}\, P^S_c, e^S_x) - \cos(P^T_c, e^T_x)\big)^2

    :math:`\ell` is DE's, with an expert for each group. A side's selector without noise assigns x to the group c(x);
    users and items never share a group. A pair may be one entity with itself. A prototype is the mean of a group's
    vectors among the users U and items I that the step reads; where ``kd_rows`` leaves some out, the mean over pairs
    shifts towards those of users. ``htd_group: prototype`` compares prototypes with prototypes, with a gradient.

    Source: Kang et al., Topology Distillation, KDD 2021 (arXiv 2106.08700).

    Fidelity: very high, after the authors' code. It leaves out the pairs within a group that the teacher finds unlike:
    ``htd_only_positive`` does so too.
    """

    experts_key = "groups"
    halves_equal_widths = False

    @classmethod
    def check(cls, config: Config) -> None:
        refuse_subsampled_sum(config, "HTD")

    def loss(self, batch: Batch) -> torch.Tensor:
        population = {"user": batch.queries, "item": torch.cat([batch.pos_items, batch.neg_items]).unique()}
        drawn = {side: self.subsample(ids) for side, ids in population.items()}
        student = {
            "user": batch.student.query_vectors(drawn["user"]),
            "item": batch.student.item_vectors(drawn["item"]),
        }
        user, item = (
            self.reduce(self.compare(side, ids, student[side]), len(population[side]), self.coordinates)
            for side, ids in drawn.items()
        )
        alpha, size = self.key("alpha"), sum(map(len, population.values()))
        topology = self._topology(torch.cat([student["user"], student["item"]]), drawn, size)
        return alpha * topology + (1.0 - alpha) * (user + item)

    def _topology(self, student: torch.Tensor, drawn: dict[str, torch.Tensor], population: int) -> torch.Tensor:
        """L_TD of the student's vectors of users and then of items; the batch has ``population`` of both."""
        teacher, groups = [], []
        for index, (side, ids) in enumerate(drawn.items()):
            teacher.append(self.knowledge.factors(side)[ids])
            groups.append(self.projectors.of(side).log_gates(teacher[-1]).argmax(1) + index * self.key("groups"))
        by, only_positive = self.key("group"), self.key("only_positive")
        within, across = group_topology(student, torch.cat(teacher), torch.cat(groups), by, only_positive)
        share = population / len(student)  # a sum over the whole batch has more terms: pairs as the square of it
        across_share = share if by == "entity" else 1.0
        return self.reduce(within, len(within) * share**2) + self.reduce(across, len(across) * across_share)
