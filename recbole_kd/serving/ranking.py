"""The best items of a block of scores, with some of them hidden."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch

from recbole_kd.ops.ranking import top_k, top_k_of_chunks

BLOCK = 1_000_000  # scores in memory at once
ROWS = 64  # rows whose scores are made together at least: a matrix product of fewer takes longer for each row

Blocks = Callable[[torch.Tensor], Iterable[torch.Tensor]]


def best_columns(
    blocks: Iterable[torch.Tensor], k: int, rows: np.ndarray, columns: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """The k best columns of each row; hidden ones come last, with -inf.

    Args:
        blocks: scores side by side, shape [b, c] each, the first with k columns at least; they are overwritten.
        k: how many columns.
        rows, columns: the hidden pairs, int64, shape [h] each.

    Returns:
        (scores, columns), shape [b, k], best first.

    >>> best_columns([torch.tensor([[1.0, 3.0, 2.0]])], 2, np.array([0]), np.array([1]))[1].tolist()
    [[2, 0]]
    """
    hidden = iter(_hidden(blocks, rows, columns))
    first = next(hidden)
    second = next(hidden, None)
    if second is None:
        return top_k(first, k)
    return top_k_of_chunks(_chain(first, second, hidden), k)


def _chain(first: torch.Tensor, second: torch.Tensor, rest: Iterator[torch.Tensor]) -> Iterator[torch.Tensor]:
    yield first
    yield second
    yield from rest


def _hidden(blocks: Iterable[torch.Tensor], rows: np.ndarray, columns: np.ndarray) -> Iterator[torch.Tensor]:
    order = np.argsort(columns, kind="stable")
    rows, columns = rows[order], columns[order]
    first = 0
    for scores in blocks:
        last = first + scores.shape[1]
        low, high = np.searchsorted(columns, (first, last))
        positions = [
            torch.from_numpy(subset).to(scores.device) for subset in (rows[low:high], columns[low:high] - first)
        ]
        scores[positions[0], positions[1]] = -torch.inf
        yield scores
        first = last


def inner_products(rows: torch.Tensor, table: torch.Tensor, k: int) -> Iterator[torch.Tensor]:
    """The inner products of some vectors with a table, in blocks of columns on a CPU.

    Args:
        rows: float32, shape [b, d].
        table: float32, shape [c, d].
        k: the least number of columns of a block.
    """
    width = len(table) if rows.device.type != "cpu" else max(BLOCK // ROWS, k)
    for first in range(0, len(table), width):
        yield rows @ table[first : first + width].T


def rows_per_block(n_columns: int, scores: int = BLOCK) -> int:
    """How many rows are scored together, so that about ``scores`` scores are in memory at once."""
    return max(ROWS, scores // max(n_columns, 1))
