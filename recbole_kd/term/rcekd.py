"""RCEKD: rejuvenated cross-entropy distillation, at the output layer."""

from typing import Any

import torch

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import Capability
from recbole_kd.config.configurator import Config
from recbole_kd.losses import soft_label_loss
from recbole_kd.ops.ranking import membership
from recbole_kd.ops.sampling import sample_without_replacement
from recbole_kd.term.base import Batch, Term
from recbole_kd.term.candidates import CandidateTable
from recbole_kd.term.schedule import is_refresh_epoch

MAX_COUNT = 50  # the authors' bound on c_r


class RCEKD(Term):
    r"""Cross entropies over two sets of a user's items: the student's own best, and those of the teacher's best that
    the student does not rank yet, together with items that the student ranks above many of them.

    :math:`Q^S, Q^T` are the first K of the student's and the teacher's list. Each refresh draws L items A from the
    student's list without replacement, position r with weight :math:`\exp(c_r / T)`, where :math:`c_r` is how many of
    :math:`Q^T` are at r or further down in that list (the authors' :math:`c_r + 1` is the same law). With

    .. math:: \ell_C(u) = -\sum_{i \in C} \mathrm{softmax}_C(t_u / \tau)_i \log \mathrm{softmax}_C(s_u / \tau)_i,
        \quad W = A \cup (Q^T \setminus A \setminus Q^S), \quad w_u = e^{-\beta |Q^T \cap A| / K},

    .. math:: L = \mathrm{mean}_u \; (1 - w_u) \, \ell_{Q^S}(u) + w_u \, \ell_W(u).

    Training positives stay in both lists, as the authors have it, unless ``rcekd_seen`` says otherwise. The mean takes
    each user of the batch once; the sum, as the authors', once a row.

    Source: Zhu & Zhang, arXiv 2509.20989.

    Fidelity: very high, after the authors' code.
    """

    layer = "output"
    teacher_needs = Capability.RANKS | Capability.SCORES
    student_needs = Capability.SCORES | Capability.ALL_SCORES
    share: torch.Tensor

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        self.top = knowledge.top_items(self.key("k"), self.key("seen"))
        self.k = self.top.ids.shape[1]
        columns = self.k + self.key("sample_k") + self.k  # Q^S, A, the rest of Q^T
        self.candidates = CandidateTable(knowledge.n_users, columns, config["device"], with_scores=True)
        self.register_buffer("share", torch.zeros(knowledge.n_users, device=config["device"]))

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        if is_refresh_epoch(epoch, self.key("refresh")):
            with student.eval_view() as view:
                top = self.knowledge.top_unseen(view, max(self.k, self.key("max_k")), self.key("seen"))
            self._draw(top.ids)

    def loss(self, batch: Batch) -> torch.Tensor:
        users = self.subsample(batch.users)
        items, labels, share = self.candidates.ids[users], self.candidates.scores[users], self.share[users]
        scores = batch.student.score(users, items)
        of_student, of_both = (
            soft_label_loss(scores[:, columns], labels[:, columns], self.key("tau"), items[:, columns] > 0)
            for columns in (slice(self.k), slice(self.k, None))
        )
        return self.reduce_users((1 - share) * of_student + share * of_both, users, batch)

    def _draw(self, student_ids: torch.Tensor) -> None:
        """Fill the candidates from the student's lists, shape [n, L]."""
        logits, k = self._logits(student_ids), self.key("sample_k")
        columns, mask = sample_without_replacement(logits, student_ids > 0, k, self.generator)
        best, drawn = student_ids[:, : self.k], torch.where(mask, torch.gather(student_ids, 1, columns), 0)
        in_draw = membership(self.top.ids, drawn)
        rest = torch.where(in_draw | membership(self.top.ids, best), 0, self.top.ids)
        self.candidates.ids.copy_(torch.cat([best, drawn, rest], 1))
        # the scores of the teacher's list are known; only the others are computed
        computed = self.knowledge.score(self.candidates.ids[:, : -self.k])
        self.candidates.scores.copy_(torch.cat([computed, torch.where(rest > 0, self.top.scores, 0.0)], 1))
        self.share.copy_((-self.key("beta") * in_draw.sum(1) / self.k).exp())

    def _logits(self, student_ids: torch.Tensor) -> torch.Tensor:
        """The logarithms of the weights of the student's positions."""
        if self.key("sampling") == "rank":
            return -torch.arange(student_ids.shape[1], device=student_ids.device) / self.key("temperature")
        count = membership(student_ids, self.top.ids).flip(1).cumsum(1).flip(1).clamp(max=MAX_COUNT)
        return count / self.key("temperature")
