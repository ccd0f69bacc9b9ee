"""RCEKD: rejuvenated cross-entropy distillation, at the output layer."""

import torch

from recbole_kd.backbone.capabilities import Capability
from recbole_kd.losses.soft_label import soft_label_loss
from recbole_kd.ops.ranking import membership
from recbole_kd.ops.sampling import sample_without_replacement
from recbole_kd.term.base import Term
from recbole_kd.term.schedule import is_refresh_epoch

CAP = 50  # the authors': no more of the teacher's items are counted


class RCEKD(Term):
    r"""Cross entropies over two sets of a user's items: the student's own best, and those of the teacher's best that
    the student does not rank yet, together with items of the student that stand above many of them.

    :math:`Q^S, Q^T` are the first K of the student's and the teacher's list. Each refresh draws L items A from the
    student's list without replacement, position r with weight :math:`\exp(c_r / T)`, where :math:`c_r` is how many of
    :math:`Q^T` stand at r or further down in that list (the authors' :math:`c_r + 1` is the same law). With

    .. math:: \ell_C(u) = -\sum_{i \in C} \mathrm{softmax}_C(t_u / \tau)_i \log \mathrm{softmax}_C(s_u / \tau)_i,
        \quad W = A \cup (Q^T \setminus A \setminus Q^S), \quad w_u = e^{-\beta |Q^T \cap A| / K},

    .. math:: L = \mathrm{mean}_u \; (1 - w_u) \, \ell_{Q^S}(u) + w_u \, \ell_W(u).

    Training positives stay in both lists, as the authors have it, unless ``rcekd_seen`` says otherwise. The mean takes
    each user of the batch once; the sum, as the authors', once a row.

    Source: Zhu & Zhang, arXiv 2509.20989, after the authors' code: very sure.
    """

    layer = "output"
    teacher_needs = Capability.RANKS | Capability.SCORES
    student_needs = Capability.SCORES | Capability.ALL_SCORES
    items: torch.Tensor
    labels: torch.Tensor
    share: torch.Tensor

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        self.top = knowledge.top_items(self.key("k"), self.key("seen"))
        self.k = self.top.ids.shape[1]
        shape = (knowledge.n_users, self.k + self.key("sample_k") + self.k)  # Q^S, A, the rest of Q^T; 0: no item
        device = config["device"]
        self.register_buffer("items", torch.zeros(shape, dtype=torch.int32, device=device))
        self.register_buffer("labels", torch.zeros(shape, device=device))
        self.register_buffer("share", torch.zeros(shape[0], device=device))

    def start_epoch(self, epoch, student):
        if is_refresh_epoch(epoch, self.key("refresh")):
            with student.eval_view() as view:
                own = self.knowledge.top_unseen(view, max(self.k, self.key("max_k")), self.key("seen"))
            self._draw(own.ids)

    def loss(self, batch):
        users = self.subsample(batch.users)
        items, labels, share = self.items[users], self.labels[users], self.share[users]
        scores = batch.student.score(users, items)
        own, both = (
            soft_label_loss(scores[:, part], labels[:, part], self.key("tau"), items[:, part] > 0)
            for part in (slice(self.k), slice(self.k, None))
        )
        return self.reduce_users((1 - share) * own + share * both, users, batch)

    def _draw(self, own):
        columns, there = sample_without_replacement(self._logits(own), own > 0, self.key("sample_k"), self.generator)
        best, drawn, teachers = own[:, : self.k], torch.where(there, torch.gather(own, 1, columns), 0), self.top.ids
        met = membership(teachers, drawn)
        rest = torch.where(met | membership(teachers, best), 0, teachers)
        self.items.copy_(torch.cat([best, drawn, rest], 1))
        asked = self.items[:, : -self.k]
        scores = torch.where(rest > 0, self.top.scores, 0.0)  # known already; the others are asked for
        self.labels.copy_(torch.cat([self.knowledge.score(asked), scores], 1))
        self.share.copy_((-self.key("beta") * met.sum(1) / self.k).exp())

    def _logits(self, own):
        if self.key("sampling") == "rank":
            return -torch.arange(own.shape[1], device=own.device) / self.key("temperature")
        count = membership(own, self.top.ids).flip(1).cumsum(1).flip(1).clamp(max=CAP)
        return count / self.key("temperature")
