"""KD: distillation with the teacher's softmax, at the output layer."""

from dataclasses import replace

from recbole_kd.backbone.capabilities import SCORER, Capability
from recbole_kd.losses.soft_label import soft_label_loss
from recbole_kd.term.base import Term


class KD(Term):
    r"""The cross entropy of the student's softmax against the teacher's, both at a temperature, over items C of a user:

    .. math:: \ell(u) = -\sum_{i \in C_u} \mathrm{softmax}_i(t_u / \tau) \log \mathrm{softmax}_i(s_u / \tau)

    averaged over the batch's unique users. ``topk``: C are the first K of a list, the teacher's or, refreshed each
    epoch, the student's own, which is where a student errs; ``all``: the whole catalogue. ``kd_tau_squared`` multiplies
    by :math:`\tau^2`, so that the gradient keeps its scale as :math:`\tau` grows.

    Source: Hinton, Vinyals and Dean 2015, ``all``; ``topk`` after the code of Zhu & Zhang, arXiv 2509.20989, there
    called KD-CE, with training positives left in the list (``kd_seen``) and a user counted once a row; very sure.
    """

    layer = "output"
    teacher_needs = SCORER
    student_needs = Capability.SCORES | Capability.ALL_SCORES

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        self.guide = self.key("guide") if self.key("items") == "topk" else None
        if self.guide == "teacher":
            self.top = knowledge.top_items(self.key("k"), self.key("seen"))

    def start_epoch(self, epoch, student):
        if self.guide == "student":
            with student.eval_view() as view:
                own = self.knowledge.top_unseen(view, self.key("k"), self.key("seen"))
            self.top = replace(own, scores=self.knowledge.score(own.ids))

    def loss(self, batch):
        users, tau = self.subsample(batch.users), self.key("tau")
        if self.guide is None:
            scores, labels = (model.score_all(users)[:, 1:] for model in (batch.student, self.knowledge))
            there = None
        else:
            items, labels = self.top.ids[users], self.top.scores[users]
            scores, there = batch.student.score(users, items), items > 0
        loss = soft_label_loss(scores, labels, tau, there)
        return self.reduce_users(tau**2 * loss if self.key("tau_squared") else loss, users, batch)
