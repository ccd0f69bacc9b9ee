"""The k best columns of each row of a score matrix that is never held as a whole."""

from dataclasses import dataclass

import torch

from recbole_kd.ops.blocks import block_rows, row_blocks
from recbole_kd.ops.ranking import top_k, top_k_of_chunks

MIN_ROWS = 64  # rows at least whose scores are made together: a product of fewer is slower a row


@dataclass(frozen=True)
class TopList:
    """The best items of each user, best first; of ``top_users``, the best users of each item.

    Attributes:
        ids: int32, shape [n + 1, K]; 0 where a user has fewer than K unseen items.
        scores: float32, the same shape; -inf there.
        length: how many there are, shape [n + 1]; 0 for the padding user.
    """

    ids: torch.Tensor
    scores: torch.Tensor
    length: torch.Tensor


def top_k_rows(score, k, n, size, known, device):
    """The TopList of n rows: ``score(rows [b]) -> [b, size]``, overwritten; padding is in none.

    Args:
        score: where the scores come from.
        k: length of a list.
        n, size: rows and columns, padding included.
        known: pairs that are left out, sorted by row: rows, columns, and where each row begins; None for none.
        device: where the lists live.
    """

    def find(rows):
        scores = score(rows).detach().float()
        mask_known(scores, rows, known)
        return top_k(scores, k)

    return _collect_rows(find, k, n, size, device)


def top_inner_products(vectors, table, k, n, known):
    """``best_of`` the inner products of row vectors and a table's; of a table too long for many of its columns to be
    in memory at once, in parts.

    Args:
        vectors: the rows' vectors, ``vectors(rows [b]) -> [b, d]``.
        table: the columns' vectors, shape [size, d].
    """
    size, device = len(table), table.device
    width = max(block_rows(MIN_ROWS), k + 1)
    if size <= width or device.type != "cpu" or table.dtype != torch.float32:
        return top_k_rows(lambda rows: vectors(rows) @ table.T, k, n, size, known, device)

    def parts(rows):
        own = vectors(rows).detach()
        for first in range(0, size, width):
            scores = own @ table[first : first + width].detach().T
            mask_known(scores, rows, known, first)
            yield scores

    return _collect_rows(lambda rows: top_k_of_chunks(parts(rows), k), k, n, width, device)


def _collect_rows(find, k, n, width, device):
    """The TopList of n rows, from ``find(rows [b]) -> (scores, columns)``, of ``width`` numbers a row at once."""
    ids = torch.zeros(n, k, dtype=torch.int32, device=device)
    best = torch.full((n, k), -torch.inf, device=device)
    for rows in row_blocks(n, width, device):
        best[rows], columns = find(rows)
        ids[rows] = torch.where(best[rows] > -torch.inf, columns, 0).int()
    ids[0], best[0] = 0, -torch.inf
    return TopList(ids, best, (ids > 0).sum(1))


def mask_known(scores, rows, known, first=0):
    """Padding and known pairs, if any, to -inf, in the scores of consecutive rows, whose columns begin at ``first``."""
    scores[:, : int(first == 0)] = -torch.inf
    if known is not None:
        mask_pairs(scores, rows, known, first)


def mask_pairs(scores, rows, known, first=0):
    """Known pairs to -inf, in the scores of consecutive rows, whose columns begin at ``first``."""
    of_row, columns, starts = known
    start, stop = int(starts[rows[0]]), int(starts[rows[-1] + 1])
    row, column = of_row[start:stop] - rows[0], columns[start:stop] - first
    here = (column >= 0) & (column < scores.shape[1])
    scores[row[here], column[here]] = -torch.inf
