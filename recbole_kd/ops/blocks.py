"""How many rows are processed at once, so that memory does not grow with the number of rows."""

import torch

BLOCK_SIZE = 1_000_000  # numbers in memory at once


def block_rows(numbers_per_row: int) -> int:
    """How many rows of this many numbers each fit into a block; at least one.

    >>> block_rows(300_000), block_rows(5_000_000)
    (3, 1)
    """
    return max(1, BLOCK_SIZE // max(1, numbers_per_row))


def row_blocks(n: int, numbers_per_row: int, device: torch.device | str) -> tuple[torch.Tensor, ...]:
    """The row numbers 0 to n - 1 in consecutive blocks of ``block_rows(numbers_per_row)``, int64.

    >>> [block.tolist() for block in row_blocks(5, 500_000, "cpu")]
    [[0, 1], [2, 3], [4]]
    """
    return torch.arange(n, device=device).split(block_rows(numbers_per_row))
