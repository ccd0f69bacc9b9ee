"""DCD: dual correction distillation, at the output layer."""

from typing import Any

import torch

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.capabilities import FACTORS, VECTORS, Capability
from recbole_kd.config.configurator import Config
from recbole_kd.losses import plackett_luce
from recbole_kd.ops.sampling import gumbel_keys, top_keys
from recbole_kd.term.base import Term
from recbole_kd.term.batch import Batch
from recbole_kd.term.ranked_lists import RankedLists, Score
from recbole_kd.term.rrd import RelaxedLists
from recbole_kd.term.schedule import is_refresh_epoch


class DCD(Term):
    r"""Raises what the student ranks too low in the teacher's list above what it ranks too high, on both sides.

    With ranks within a user's list, of items unseen in training, X are p items drawn without replacement in proportion
    to their underestimation, in the teacher's order, and Y are p in proportion to their overestimation,

    .. math:: \tanh \max(\epsilon (r^S_{ui} - r^T_{ui}), 0), \quad \tanh \max(\epsilon (r^T_{ui} - r^S_{ui}), 0),

    .. math:: \ell(u) = -\sum_{k=1}^{p} \log \frac{e^{s_{u X_k}}}
        {\sum_{i \ge k} e^{s_{u X_i}} + \sum_{j \in Y} e^{s_{uj}}}

    drawn anew each step, while the student's ranks are read every few epochs. Averaged over the batch's unique users
    and the p positions; the same with each positive item's list of users, times ``dcd_item_weight``. A list that has
    fewer than p of a kind gives what it has.

    The corrections compare items within the lists only; the paper's objective adds the relaxed ranking of RRD, here
    with the weight ``dcd_relaxed_weight``. The authors' released loop leaves it out: 0.

    Source: Lee & Kim, CIKM 2021 (arXiv 2109.03459).

    Fidelity: high for the form, after the authors' code; its constants are ours.
    """

    layer = "output"
    teacher_needs = Capability.RANKS | Capability.ALL_SCORES
    student_needs = FACTORS

    @classmethod
    def needs_of_student(cls, config: Config) -> Capability:
        return FACTORS if config["dcd_sides"] == "both" else VECTORS

    def __init__(self, config: Config, knowledge: Any, width: int) -> None:
        super().__init__(config, knowledge, width)
        both, k = self.key("sides") == "both", self.key("max_k")
        self.user_lists = RankedLists(knowledge.top_items(k))
        self.item_lists = RankedLists(knowledge.top_users(k)) if both else None
        self.relaxed = self._relaxed_lists(knowledge) if self.key("relaxed_weight") > 0 else None

    def _relaxed_lists(self, knowledge: Any) -> RelaxedLists:
        top, temperature = self.user_lists.top, self.key("relaxed_temperature")
        k, uniform_k = self.key("relaxed_k"), self.key("relaxed_uniform_k")
        return RelaxedLists(top, knowledge.excluded_from_sampling(top), k, uniform_k, temperature)

    def start_epoch(self, epoch: int, student: Backbone) -> None:
        if self.relaxed is not None:
            self.relaxed.draw(self.generator)
        if is_refresh_epoch(epoch, self.key("refresh")):
            view = student.snapshot()
            self.user_lists.refresh(view.score, view.width)
            if self.item_lists is not None:
                self.item_lists.refresh(view.score_items, view.width)

    def loss(self, batch: Batch) -> torch.Tensor:
        loss = self._side(self.user_lists, batch.queries, batch.student.score)
        if self.item_lists is not None:
            items = self._side(self.item_lists, batch.pos_items, batch.student.score_items)
            loss = loss + self.key("item_weight") * items
        if self.relaxed is not None:
            users = self.subsample(batch.queries)
            ranked = self.relaxed.loss(batch.student.score(users, self.relaxed.ids[users]), users)
            loss = loss + self.key("relaxed_weight") * self.reduce(
                ranked, len(batch.queries), coordinates=self.relaxed.k
            )
        return loss

    def _side(self, lists: RankedLists, ids: torch.Tensor, score: Score) -> torch.Tensor:
        rows, k = self.subsample(ids), self.key("k")
        low, low_mask, high, high_mask = self._draw(lists.rank_gaps(rows), min(k, lists.ranks.shape[1]))
        scores = score(rows, torch.gather(lists.top.ids[rows], 1, torch.cat([low, high], 1)))
        listed, tail = scores.chunk(2, dim=1)
        return self.reduce(plackett_luce(listed, tail, low_mask, high_mask), len(ids), coordinates=k)

    def _draw(self, gaps: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Draw columns of the teacher's list that the student ranks too low, and too high, with their masks."""
        # no entry is both, so the two draws can share the keys
        keys = gumbel_keys(torch.tanh(self.key("epsilon") * gaps.abs()), self.generator)
        return *top_keys(keys, gaps > 0, k), *top_keys(keys, gaps < 0, k)
