"""DCD: dual correction distillation, at the output layer."""

import torch
from torch import nn

from recbole_kd.backbone.capabilities import FACTORS, Capability
from recbole_kd.losses.ranking import plackett_luce
from recbole_kd.ops.blocks import row_blocks
from recbole_kd.ops.ranking import argsort_descending
from recbole_kd.ops.sampling import gumbel_keys, top_keys
from recbole_kd.term.base import Term
from recbole_kd.term.rrd import RelaxedLists
from recbole_kd.term.schedule import is_refresh_epoch


class RankedLists(nn.Module):
    """The teacher's list of each row, and where the student ranked its entries among one another.

    Args:
        top: the teacher's TopList.

    Attributes:
        ranks: int16, shape [n + 1, K]: the student's rank, from 0, of the entry that the teacher ranks at the column.
    """

    ranks: torch.Tensor

    def __init__(self, top):
        super().__init__()
        self.top = top
        self.register_buffer("ranks", torch.zeros(top.ids.shape, dtype=torch.int16, device=top.ids.device))

    def refresh(self, score, width):
        """Rank anew by ``score(rows [b], ids [b, K])``, which reads vectors of this width."""
        (n, k), device = self.top.ids.shape, self.top.ids.device
        for rows in row_blocks(n, k * width, device):
            ids = self.top.ids[rows]
            order = argsort_descending(score(rows, ids).masked_fill(ids == 0, -torch.inf))
            places = torch.arange(k, device=device).expand_as(order)
            self.ranks[rows] = torch.empty_like(order).scatter_(1, order, places).short()

    def behind(self, rows):
        """How many places further down the student has each entry than the teacher, shape [b, K]; 0 where there is
        none, as what is not there comes last in either order.
        """
        return self.ranks[rows] - torch.arange(self.ranks.shape[1], device=rows.device)


class DCD(Term):
    r"""What the student ranks too low in the teacher's list shall rise above what it ranks too high, on both sides.

    With ranks within a user's list, of items unseen in training, X are p items drawn without replacement in proportion
    to their underestimation, in the teacher's order, and Y are p in proportion to their overestimation,

    .. math:: \tanh \max(\epsilon (r^S_{ui} - r^T_{ui}), 0), \quad \tanh \max(\epsilon (r^T_{ui} - r^S_{ui}), 0),

    .. math:: \ell(u) = -\sum_{k=1}^{p} \log \frac{e^{s_{u X_k}}}
        {\sum_{i \ge k} e^{s_{u X_i}} + \sum_{j \in Y} e^{s_{uj}}}

    drawn anew each step, while the student's ranks are read every few epochs. Averaged over the batch's unique users
    and the p positions; the same with each positive item's list of users, times ``dcd_item_weight``. A list that has
    fewer than p of a kind gives what it has.

    The corrections stay within the lists and say nothing of what lies outside; the paper's objective has the relaxed
    ranking of RRD beside them, here ``dcd_relaxed_weight`` times as heavy. The authors' released loop leaves it out: 0.

    Source: Lee & Kim, CIKM 2021, after the authors' code; sure of the form, not of its constants.
    """

    layer = "output"
    teacher_needs = Capability.RANKS | Capability.ALL_SCORES
    student_needs = FACTORS

    def __init__(self, config, knowledge, width):
        super().__init__(config, knowledge, width)
        both, k = self.key("sides") == "both", self.key("max_k")
        self.user_lists = RankedLists(knowledge.top_items(k))
        self.item_lists = RankedLists(knowledge.top_users(k)) if both else None
        self.relaxed = self._relaxed_lists(knowledge) if self.key("relaxed_weight") > 0 else None

    def _relaxed_lists(self, knowledge):
        top, temperature = self.user_lists.top, self.key("relaxed_temperature")
        k, uniform_k = self.key("relaxed_k"), self.key("relaxed_uniform_k")
        return RelaxedLists(top, knowledge.excluded_from_sampling(top), k, uniform_k, temperature)

    def start_epoch(self, epoch, student):
        if self.relaxed is not None:
            self.relaxed.draw(self.generator)
        if is_refresh_epoch(epoch, self.key("refresh")):
            view = student.snapshot()
            self.user_lists.refresh(view.score, view.width)
            if self.item_lists is not None:
                self.item_lists.refresh(view.score_items, view.width)

    def loss(self, batch):
        loss = self._side(self.user_lists, batch.users, batch.student.score)
        if self.item_lists is not None:
            items = self._side(self.item_lists, batch.pos_items, batch.student.score_items)
            loss = loss + self.key("item_weight") * items
        if self.relaxed is not None:
            users = self.subsample(batch.users)
            ranked = self.relaxed.loss(batch.student.score(users, self.relaxed.ids[users]), users)
            loss = loss + self.key("relaxed_weight") * self.reduce(ranked, len(batch.users), parts=self.relaxed.k)
        return loss

    def _side(self, lists, ids, score):
        rows, k = self.subsample(ids), self.key("k")
        (under, under_there), (over, over_there) = self._draw(lists.behind(rows), min(k, lists.ranks.shape[1]))
        scores = score(rows, torch.gather(lists.top.ids[rows], 1, torch.cat([under, over], 1)))
        listed, tail = scores.chunk(2, dim=1)
        return self.reduce(plackett_luce(listed, tail, under_there, over_there), len(ids), parts=k)

    def _draw(self, behind, k):
        """Places in the teacher's list of what the student ranks too low, and of what too high."""
        # nothing is both: one race decides either draw
        keys = gumbel_keys(torch.tanh(self.key("epsilon") * behind.abs()), self.generator)
        return top_keys(keys, behind > 0, k), top_keys(keys, behind < 0, k)
