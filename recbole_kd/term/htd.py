"""HTD: hierarchical topology distillation, at the intermediate layer."""

import torch

from recbole_kd.losses.topology import group_topology
from recbole_kd.term.alignment import GatedAlignment
from recbole_kd.term.base import refuse_part_of_a_sum


class HTD(GatedAlignment):
    r"""The teacher's vectors form groups; cosines within a group and with the groups' prototypes are pulled to its own.

    .. math:: L = \alpha L_{TD} + (1 - \alpha) L_{GA}, \quad L_{GA} = \mathrm{mean}_U \ell + \mathrm{mean}_I \ell

    .. math:: L_{TD} = \mathrm{mean}_{c(x) = c(y)} \big(\cos(e^S_x, e^S_y) - \cos(e^T_x, e^T_y)\big)^2
        + \mathrm{mean}_{c, x} \big(\cos(\mathrm{sg}\, P^S_c, e^S_x) - \cos(P^T_c, e^T_x)\big)^2

    :math:`\ell` is DE's, with an expert for each group; a side's selector without noise puts x into the group c(x),
    and users never share one with items. A pair may be one entity with itself. A prototype is the mean of a group's
    vectors among the users U and items I that the step looks at; where ``kd_rows`` leaves some out, the mean over pairs
    shifts towards those of users. ``htd_group: prototype`` compares prototypes with prototypes, with a gradient.

    Source: Kang et al., Topology Distillation, KDD 2021 (arXiv 2106.08700), after the authors' code; very sure. Their
    code leaves out the pairs within a group that the teacher finds unlike: ``htd_only_positive`` does so too.
    """

    counted_by = "groups"

    @classmethod
    def check(cls, config):
        refuse_part_of_a_sum(config, "HTD")

    def loss(self, batch):
        whole = {"user": batch.users, "item": torch.cat([batch.pos_items, batch.neg_items]).unique()}
        some = {side: self.subsample(ids) for side, ids in whole.items()}
        student = {"user": batch.student.users(some["user"]), "item": batch.student.items(some["item"])}
        aligned = sum(
            self.reduce(self.compare(side, ids, student[side]), len(whole[side]), self.parts)
            for side, ids in some.items()
        )
        alpha = self.key("alpha")
        topology = self._topology(torch.cat([student["user"], student["item"]]), some, sum(map(len, whole.values())))
        return alpha * topology + (1.0 - alpha) * aligned

    def _topology(self, student, some, whole):
        """Of the student's vectors of users and then of items; ``whole`` is how many the batch has."""
        teacher, groups = [], []
        for place, (side, ids) in enumerate(some.items()):
            teacher.append(self.knowledge.factors(side)[ids])
            groups.append(self.projector(side).log_gates(teacher[-1]).argmax(1) + place * self.key("groups"))
        by, only_positive = self.key("group"), self.key("only_positive")
        within, across = group_topology(student, torch.cat(teacher), torch.cat(groups), by, only_positive)
        share = whole / len(student)  # what a sum over all of the batch would have more: pairs as its square
        across_share = share if by == "entity" else 1.0
        return self.reduce(within, len(within) * share**2) + self.reduce(across, len(across) * across_share)
