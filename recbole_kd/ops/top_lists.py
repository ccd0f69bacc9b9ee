"""The k best columns of each row of a score matrix that is never held as a whole."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from recbole_kd.ops.blocks import block_rows, row_blocks
from recbole_kd.ops.ranking import top_k, top_k_of_chunks

MIN_ROWS = 64  # whose scores are made together at least: a product of fewer rows takes longer for each row

KnownPairs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Pairs sorted by row: their rows, their columns, and where each row begins."""


@dataclass(frozen=True)
class TopList:
    """The best items of each user, best first; with ``top_users``, the best users of each item.

    Attributes:
        ids: int32, shape [n + 1, K]; 0 where a user has fewer than K unseen items.
        scores: float32, the same shape; -inf where the id is 0.
        length: the number of items of each list, shape [n + 1]; 0 for the padding user.
    """

    ids: torch.Tensor
    scores: torch.Tensor
    length: torch.Tensor

    def take(self, rows: torch.Tensor) -> "TopList":
        """The lists of some rows, in their order."""
        return TopList(self.ids[rows], self.scores[rows], self.length[rows])

    @classmethod
    def from_scores(cls, scores: torch.Tensor, k: int) -> "TopList":
        """The k best columns of each row of scores, shape [n, size]; a score of -inf is in no list.

        >>> TopList.from_scores(torch.tensor([[-torch.inf, 1.0, 2.0]]), 2).ids
        tensor([[2, 1]], dtype=torch.int32)
        """
        best, columns = top_k(scores.float(), min(k, scores.shape[1]))
        ids = torch.where(best > -torch.inf, columns, 0).int()
        return cls(ids, best, (ids > 0).sum(1))


def top_k_rows(
    score: Callable[[torch.Tensor], torch.Tensor],
    k: int,
    n: int,
    size: int,
    known: KnownPairs | None,
    device: torch.device | str,
) -> TopList:
    """The TopList of n rows; padding is in no list.

    Args:
        score: gives the scores of some rows, ``score(rows [b]) -> [b, size]``; its result is overwritten.
        k: length of a list.
        n: number of rows, padding included.
        size: number of columns, padding included.
        known: pairs that are left out; None for none.
        device: where the lists are made.

    >>> scores = torch.tensor([[0.0, 0.0, 0.0], [9.0, 1.0, 2.0]])
    >>> top_k_rows(lambda rows: scores[rows], 1, 2, 3, None, "cpu").ids  # row 0 and column 0 are padding
    tensor([[0],
            [2]], dtype=torch.int32)
    """

    def find_top(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores = score(rows).detach().float()
        mask_known(scores, rows, known)
        return top_k(scores, k)

    return _collect_rows(find_top, k, n, size, device)


def top_inner_products(
    vectors: Callable[[torch.Tensor], torch.Tensor], table: torch.Tensor, k: int, n: int, known: KnownPairs | None
) -> TopList:
    """``top_k_rows`` of the inner products of row vectors and a table.

    On a CPU a long table is read in chunks of columns, so that many rows fit into memory at once.

    Args:
        vectors: gives the vectors of some rows, ``vectors(rows [b]) -> [b, d]``.
        table: the columns' vectors, shape [size, d].
        k: length of a list.
        n: number of rows, padding included.
        known: pairs that are left out; None for none.

    >>> users, items = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [3.0], [5.0]])
    >>> top_inner_products(lambda rows: users[rows], items, 2, 2, None).ids[1]
    tensor([2, 1], dtype=torch.int32)
    """
    size, device = len(table), table.device
    width = max(block_rows(MIN_ROWS), k + 1)
    if size <= width or device.type != "cpu" or table.dtype != torch.float32:
        return top_k_rows(lambda rows: vectors(rows) @ table.T, k, n, size, known, device)

    def score_chunks(rows: torch.Tensor) -> Iterator[torch.Tensor]:
        row_vectors = vectors(rows).detach()
        for first in range(0, size, width):
            scores = row_vectors @ table[first : first + width].detach().T
            mask_known(scores, rows, known, first)
            yield scores

    return _collect_rows(lambda rows: top_k_of_chunks(score_chunks(rows), k), k, n, width, device)


def _collect_rows(
    find_top: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    k: int,
    n: int,
    width: int,
    device: torch.device | str,
) -> TopList:
    """The TopList of n rows from ``find_top(rows [b]) -> (scores, columns)``, which holds ``width`` numbers a row."""
    ids = torch.zeros(n, k, dtype=torch.int32, device=device)
    best = torch.full((n, k), -torch.inf, device=device)
    for rows in row_blocks(n, width, device):
        best[rows], columns = find_top(rows)
        ids[rows] = torch.where(best[rows] > -torch.inf, columns, 0).int()
    ids[0], best[0] = 0, -torch.inf
    return TopList(ids, best, (ids > 0).sum(1))


def mask_known(scores: torch.Tensor, rows: torch.Tensor, known: KnownPairs | None, first: int = 0) -> None:
    """Set the scores of padding and of known pairs to -inf, in place.

    Args:
        scores: shape [b, c].
        rows: consecutive row numbers, shape [b].
        known: as in ``top_k_rows``.
        first: the number of the first column.

    >>> scores = torch.ones(1, 3)
    >>> mask_known(scores, torch.tensor([0]), (torch.tensor([0]), torch.tensor([2]), torch.tensor([0, 1])))
    >>> scores
    tensor([[-inf, 1., -inf]])
    """
    scores[:, : int(first == 0)] = -torch.inf
    if known is not None:
        mask_pairs(scores, rows, known, first)


def mask_pairs(scores: torch.Tensor, rows: torch.Tensor, known: KnownPairs, first: int = 0) -> None:
    """``mask_known`` without padding.

    >>> scores = torch.ones(1, 3)
    >>> mask_pairs(scores, torch.tensor([0]), (torch.tensor([0]), torch.tensor([2]), torch.tensor([0, 1])))
    >>> scores
    tensor([[1., 1., -inf]])
    """
    row_of_pair, column_of_pair, starts = known
    start, stop = int(starts[rows[0]]), int(starts[rows[-1] + 1])
    row, column = row_of_pair[start:stop] - rows[0], column_of_pair[start:stop] - first
    inside = (column >= 0) & (column < scores.shape[1])
    scores[row[inside], column[inside]] = -torch.inf
