"""KD: distillation with the teacher's softmax, at the output layer."""

from dataclasses import replace
from typing import Any

import torch

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import SCORER, Capability
from recbole_kd.config.configurator import Config
from recbole_kd.losses import soft_label_loss
from recbole_kd.term.base import Batch, Term


class KD(Term):
    r"""The cross entropy of the student's softmax against the teacher's, both at a temperature, over items C of a user:

    .. math:: \ell(u) = -\sum_{i \in C_u} \mathrm{softmax}_i(t_u / \tau) \log \mathrm{softmax}_i(s_u / \tau)

    averaged over the batch's unique users. ``topk``: C are the first K of a list, the teacher's or, refreshed each
    epoch, the student's, where its errors are; ``all``: the whole catalogue. ``kd_tau_squared`` multiplies
    by :math:`\tau^2`, so that the gradient keeps its scale as :math:`\tau` grows.

    Source: Hinton, Vinyals and Dean 2015, ``all``; ``topk`` after the code of Zhu & Zhang, arXiv 2509.20989, there
    called KD-CE, with training positives left in the list (``kd_seen``) and a user counted once a row.

    Fidelity: very high, over a list after the authors' code.
    """

    layer = "output"
    teacher_needs = SCORER
    student_needs = Capability.SCORES | Capability.ALL_SCORES

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        self.guide = self.key("guide") if self.key("items") == "topk" else None
        if self.guide == "teacher":
            self.top = knowledge.top_items(self.key("k"), self.key("seen"))

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        if self.guide == "student":
            with student.eval_view() as view:
                top = self.knowledge.top_unseen(view, self.key("k"), self.key("seen"))
            self.top = replace(top, scores=self.knowledge.score(top.ids))

    def loss(self, batch: Batch) -> torch.Tensor:
        users, tau = self.subsample(batch.users), self.key("tau")
        if self.guide is None:
            scores, labels = (model.score_all(users)[:, 1:] for model in (batch.student, self.knowledge))
            mask = None
        else:
            items, labels = self.top.ids[users], self.top.scores[users]
            scores, mask = batch.student.score(users, items), items > 0
        loss = soft_label_loss(scores, labels, tau, mask)
        return self.reduce_users(tau**2 * loss if self.key("tau_squared") else loss, users, batch)
