"""FTD: full topology distillation, at the intermediate layer."""

import torch

from recbole_kd.backbone.capabilities import VECTORS
from recbole_kd.config.configurator import Config
from recbole_kd.losses import full_topology
from recbole_kd.term.base import Term, refuse_subsampled_sum
from recbole_kd.term.batch import Batch


class FTD(Term):
    r"""The cosines among the batch's users and items are pulled to the teacher's.

    .. math:: L = \mathrm{mean}_{x, y \in V} \big(\cos(e^S_x, e^S_y) - \cos(e^T_x, e^T_y)\big)^2, \quad
        V = U_b \cup P_b \cup N_b

    Pairs of two users, two items, and one of each are all among them, as is an entity with itself. Where ``kd_rows``
    leaves some out, V is that many users and as many items, which shifts the mean towards pairs of users. No projector:
    a cosine needs no common width.

    Source: Kang et al., Topology Distillation, KDD 2021 (arXiv 2106.08700).

    Fidelity: very high, after the authors' code.
    """

    layer = "intermediate"
    teacher_needs = VECTORS
    student_needs = VECTORS
    needs_negatives = True
    reads_scores = False

    @classmethod
    def check(cls, config: Config) -> None:
        refuse_subsampled_sum(config, "FTD")

    def loss(self, batch: Batch) -> torch.Tensor:
        items = torch.cat([batch.pos_items, batch.neg_items]).unique()
        users, drawn_items = self.subsample(batch.queries), self.subsample(items)
        student = torch.cat([batch.student.query_vectors(users), batch.student.item_vectors(drawn_items)])
        factors = self.knowledge.factors
        teacher = torch.cat([factors("user")[users], factors("item")[drawn_items]])
        return self.reduce(full_topology(student, teacher), (len(batch.queries) + len(items)) ** 2)
