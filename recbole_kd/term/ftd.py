"""FTD: full topology distillation, at the intermediate layer."""

import torch

from recbole_kd.backbone.capabilities import FACTORS
from recbole_kd.losses.topology import full_topology
from recbole_kd.term.base import Term, refuse_part_of_a_sum


class FTD(Term):
    r"""The cosines among the batch's users and items are pulled to the teacher's.

    .. math:: L = \mathrm{mean}_{x, y \in V} \big(\cos(e^S_x, e^S_y) - \cos(e^T_x, e^T_y)\big)^2, \quad
        V = U_b \cup P_b \cup N_b

    Pairs of two users, two items, and one of each are all among them, as is an entity with itself. Where ``kd_rows``
    leaves some out, V is that many users and as many items, which shifts the mean towards pairs of users. No projector:
    a cosine needs no common width.

    Source: Kang et al., Topology Distillation, KDD 2021 (arXiv 2106.08700), after the authors' code; very sure.
    """

    layer = "intermediate"
    teacher_needs = FACTORS
    student_needs = FACTORS
    needs_negatives = True
    reads_scores = False

    @classmethod
    def check(cls, config):
        refuse_part_of_a_sum(config, "FTD")

    def loss(self, batch):
        items = torch.cat([batch.pos_items, batch.neg_items]).unique()
        some_users, some_items = self.subsample(batch.users), self.subsample(items)
        student = torch.cat([batch.student.users(some_users), batch.student.items(some_items)])
        factors = self.knowledge.factors
        teacher = torch.cat([factors("user")[some_users], factors("item")[some_items]])
        return self.reduce(full_topology(student, teacher), (len(batch.users) + len(items)) ** 2)
