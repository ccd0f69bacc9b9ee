"""How the student ranks the entries of the teacher's lists."""

from collections.abc import Callable

import torch
from torch import nn

from recbole_kd.ops.blocks import row_blocks
from recbole_kd.ops.ranking import argsort_descending
from recbole_kd.ops.top_lists import TopList

Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""``score(rows [b], ids [b, c])``, the scores of ids of each row."""


class RankedLists(nn.Module):
    """The teacher's list of each row, and the student's ranks of its entries within the list.

    Args:
        top: the teacher's TopList.

    Attributes:
        ranks: int16, shape [n + 1, K]: the student's rank, from 0, of the entry that the teacher ranks at the column.
    """

    ranks: torch.Tensor

    def __init__(self, top: TopList) -> None:
        super().__init__()
        self.top = top
        self.register_buffer("ranks", torch.zeros(top.ids.shape, dtype=torch.int16, device=top.ids.device))

    def refresh(self, score: Score, width: int) -> None:
        """Rank anew by the scores, which are made from vectors of this width."""
        (n, k), device = self.top.ids.shape, self.top.ids.device
        for rows in row_blocks(n, k * width, device):
            ids = self.top.ids[rows]
            order = argsort_descending(score(rows, ids).masked_fill(ids == 0, -torch.inf))
            positions = torch.arange(k, device=device).expand_as(order)
            self.ranks[rows] = torch.empty_like(order).scatter_(1, order, positions).short()

    def rank_gaps(self, rows: torch.Tensor) -> torch.Tensor:
        """How many positions lower than the teacher the student ranks each entry, shape [b, K].

        0 in an unfilled slot: these come last in both orders.
        """
        return self.ranks[rows] - torch.arange(self.ranks.shape[1], device=rows.device)
