"""HetComp: several unlike teachers, from easy to hard along their training trajectories, at the output layer."""

import sys
from typing import Any

import torch

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import Capability
from recbole_kd.backbone.views import View
from recbole_kd.config.configurator import Config
from recbole_kd.errors import KDError
from recbole_kd.knowledge.base import TRAJECTORY_K
from recbole_kd.losses import above_tail, mask_logits, nested_ranking
from recbole_kd.term.base import Term
from recbole_kd.term.batch import Batch
from recbole_kd.term.schedule import is_refresh_epoch
from recbole_kd.term.trajectory import TrajectoryStates


class HetComp(Term):
    r"""The consensus of the teachers' lists, each teacher as far along its training as the student can follow.

    **Dynamic knowledge construction.** A user is at a state :math:`v_x` of each teacher x, at first the earliest.
    Every p epochs the student's discrepancy :math:`D_x` to the lists of the next state is measured; with
    :math:`\delta_x` its last value, the user moves on where :math:`\delta_x / D_x` is above :math:`0.995^{\lfloor e/p
    \rfloor} \alpha` or below 1. T is the consensus of the lists of the states that were reached.

    **Adaptive transfer.** With P the user's best training items as the teachers rank them and
    :math:`Z_q = \sum_{j \notin I_u^+, j \notin T_{1..q}} e^{s_{uj}}`, while some are not at their last states

    .. math:: \ell(u) = -2 \sum_{i \in P \cup T} \log \frac{e^{s_{ui}}}{e^{s_{ui}} + Z_K}

    and from then on, with PL(list; Z) the likelihood by Plackett and Luce of a list above a tail,

    .. math:: \ell(u) = PL(P; Z_{K/2}) + \tfrac12 \big(PL(T_{1..K/2}; Z_{K/2}) + PL(T_{1..K/10}; Z_{K/10})\big).

    Averaged over the batch's unique users and K. The tail beyond T is summed over ``hetcomp_items`` items drawn each
    step, an unbiased estimate of Z, or over all where there are not more.

    Source: Kang et al., WWW 2023 (arXiv 2303.01130).

    Fidelity: very high for losses and construction, after the authors' code; the importance in the consensus, the
    choice of states and the order of P are reconstructed. The weight 2 is that of their single-teacher code, as 0.01 to
    0.005 of this one's.
    """

    layer = "output"
    teacher_needs = Capability.RANKS
    student_needs = Capability.SCORES | Capability.ALL_SCORES
    follows_training = True
    best: torch.Tensor
    ranking_since: torch.Tensor

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        self.k = self.list_length(config, knowledge.n_items)
        self.cuts = max(1, self.k // 2), max(1, self.k // 10)
        lists, device = knowledge.trajectories(config["teacher_states"], self.k), config["device"]
        self.trajectory = TrajectoryStates(lists, knowledge.weights, self.key("alpha"), device)
        self.seen = knowledge.top_seen(self.cuts[1])
        self.register_buffer("best", torch.zeros(knowledge.n_queries, self.k, dtype=torch.int32, device=device))
        self.register_buffer("ranking_since", torch.tensor(-1, device=device))  # an epoch; -1 before
        self._merge_lists()

    @classmethod
    def check(cls, config: Config) -> None:
        if config["hetcomp_k"] > TRAJECTORY_K:
            raise KDError(
                f"hetcomp_k={config['hetcomp_k']} is out of range: the teachers' lists hold {TRAJECTORY_K} items"
            )

    @classmethod
    def list_length(cls, config: Config, n_items: int) -> int:
        return max(1, min(config["hetcomp_k"], (n_items - 1) // 2))  # items have to be left for the tail

    @property
    def base_weight(self) -> float:
        return float(self.key("base_weight")) if self.key("weight") else 1.0  # at weight 0 it is plain training

    @property
    def last_phase(self) -> int:
        began = int(self.ranking_since)
        return began if began >= 0 else sys.maxsize

    def progress(self) -> dict[str, float]:
        return self.trajectory.progress()

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        final, refresh = self.trajectory.all_final(), self.key("refresh")
        if not final and epoch >= self.key("warm_up") and is_refresh_epoch(epoch, refresh):
            with student.eval_view() as view:
                student_ids = self.knowledge.top_unseen(view, self.key("agree_k")).ids
            self.trajectory.advance(student_ids, epoch // refresh)
            self._merge_lists()
        if self.ranking_since < 0 and self.trajectory.all_final():
            self.ranking_since.fill_(epoch)

    def _merge_lists(self) -> None:
        self.best.copy_(self.trajectory.consensus(self.k, self.key("temperature")))

    def loss(self, batch: Batch) -> torch.Tensor:
        users = self.subsample(batch.queries)
        best, seen = self.best[users], self.seen[users]
        scores = batch.student.score(users, torch.cat([best, seen], 1))
        listed, known = scores[:, : self.k], scores[:, self.k :]
        tail = self._tail(batch.student, users, best)
        transfer = self.key("transfer")
        if transfer == "overall" or (transfer == "adaptive" and self.ranking_since < 0):
            values = 2.0 * (above_tail(listed, tail, best > 0) + above_tail(known, tail, seen > 0))
        else:
            values = nested_ranking(listed, known, tail, best > 0, seen > 0, self.cuts)
        return self.reduce(values, len(batch.queries), coordinates=self.k)

    def _tail(self, view: View, users: torch.Tensor, best: torch.Tensor) -> torch.Tensor:
        """log Z_K: over all items that are neither training items of the user nor in the list, shape [b]."""
        m, count = self.knowledge.n_items - 1, self.key("items")
        if 0 < count < m:
            items = torch.randperm(m, generator=self.generator, device=users.device)[:count] + 1
            scores = view.score_cross(users, items)
        else:
            items = torch.arange(1, m + 1, device=users.device)
            scores = view.score_all(users)[:, 1:]
        column = torch.full((m + 1,), -1, device=users.device)
        column[items] = torch.arange(len(items), device=users.device)
        row, item = self.knowledge.seen_pairs(users)
        rows = torch.cat([row, torch.arange(len(users), device=users.device).repeat_interleave(best.shape[1])])
        columns = column[torch.cat([item, best.flatten().long()])]
        mask = torch.ones_like(scores, dtype=torch.bool)
        mask[rows[columns >= 0], columns[columns >= 0]] = False
        return mask_logits(scores, mask).logsumexp(1) + torch.log(torch.tensor(m / len(items)))
