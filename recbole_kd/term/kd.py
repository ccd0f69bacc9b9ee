"""KD: distillation with the teacher's softmax, at the output layer."""

from dataclasses import replace
from typing import Any

import torch

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import SCORER, Capability
from recbole_kd.backbone.views import View
from recbole_kd.config.configurator import Config
from recbole_kd.losses import soft_label_loss
from recbole_kd.ops.top_lists import TopList
from recbole_kd.term.base import Term
from recbole_kd.term.batch import Batch


class KD(Term):
    r"""The cross entropy of the student's softmax against the teacher's, both at a temperature, over items C:

    .. math:: \ell(u) = -\sum_{i \in C_u} \mathrm{softmax}_i(t_u / \tau) \log \mathrm{softmax}_i(s_u / \tau)

    averaged over the batch's unique queries u. ``topk``: C are the first K of a list, the teacher's or the student's,
    where its errors are; the student's is read anew each epoch, for the rows of a sequence student each step. ``all``:
    the whole catalogue. ``kd_tau_squared`` multiplies by :math:`\tau^2`, so that the gradient keeps its scale as
    :math:`\tau` grows.

    Source: Hinton, Vinyals and Dean 2015, ``all``; ``topk`` after the code of Zhu & Zhang, arXiv 2509.20989, there
    called KD-CE, with training positives left in the list (``kd_seen``) and a query counted once a row.

    Fidelity: very high, over a list after the authors' code.
    """

    layer = "output"
    teacher_needs = SCORER
    student_needs = Capability.SCORES | Capability.ALL_SCORES

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        self.guide = self.key("guide") if self.key("items") == "topk" else None
        if self.guide == "teacher" and not knowledge.per_row:
            self.top = knowledge.top_items(self.key("k"), self.key("seen"))

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        if self.guide == "student" and not self.knowledge.per_row:
            with student.eval_view() as view:
                top = self.knowledge.top_unseen(view, self.key("k"), self.key("seen"))
            self.top = replace(top, scores=self.knowledge.score(top.ids))

    def loss(self, batch: Batch) -> torch.Tensor:
        queries, tau = self.subsample(batch.queries), self.key("tau")
        if self.guide is None:
            scores, labels = (model.score_all(queries)[:, 1:] for model in (batch.student, self.knowledge))
            mask = None
        else:
            top = self._lists_of(batch.student, queries) if self.knowledge.per_row else self.top.take(queries)
            scores, labels, mask = batch.student.score(queries, top.ids), top.scores, top.ids > 0
        loss = soft_label_loss(scores, labels, tau, mask)
        return self.reduce_users(tau**2 * loss if self.key("tau_squared") else loss, queries, batch)

    def _lists_of(self, student: View, queries: torch.Tensor) -> TopList:
        """The lists of these queries, read now, with the teacher's scores."""
        if self.guide == "teacher":
            return self.knowledge.top_items_of(queries, self.key("k"), self.key("seen"))
        top = self.knowledge.top_unseen_of(student, queries, self.key("k"), self.key("seen"))
        return replace(top, scores=self.knowledge.score_of(queries, top.ids))
