"""Drawing items and ranks for all users at once, by the given generator alone. Id 0 is padding and is never drawn."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from recbole_kd.ops.blocks import block_rows
from recbole_kd.ops.ranking import argsort_keys, top_k

MIN_UNIFORM = 1e-38  # torch.rand may draw 0, whose logarithm is infinite


def sample_ranks(
    length: torch.Tensor, k: int, temperature: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Draw k distinct ranks of each list, rank r with weight :math:`\exp(-r / T)`, and sort them, best first.

    Gumbel top-k in the log domain: the same law as drawing one after the other, without weights that underflow.

    Args:
        length: the number of entries of each list, shape [n].
        k: ranks to draw for each list.
        temperature: T > 0.
        generator: where the randomness comes from; on the device of ``length``.

    Returns:
        (ranks, mask): 0-based ranks, int64, and whether a slot is filled, bool; shape [n, k] each. A list with fewer
        than k entries leaves its last slots unfilled, at rank 0.

    Source: DE-RRD (Kang et al. 2020, 3.2), the relaxed draw of interesting items.

    >>> generator = torch.Generator().manual_seed(0)
    >>> sample_ranks(torch.tensor([100, 1]), 3, temperature=5.0, generator=generator)
    (tensor([[0, 1, 7],
            [0, 0, 0]]), tensor([[ True,  True,  True],
            [ True, False, False]]))
    """
    longest = max(int(length.max()) if length.numel() else 0, 1)
    rank = torch.arange(longest, device=length.device)
    return sample_without_replacement(-(rank + 1) / temperature, rank < length[:, None], k, generator)


def sample_without_replacement(
    logits: torch.Tensor, mask: torch.Tensor, k: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Draw k distinct columns of each row, a column with weight :math:`\exp` (logit), and sort them.

    Args:
        logits: the logarithms of the weights, up to a constant a row; any shape that broadcasts to [n, L].
        mask: which columns can be drawn, bool, shape [n, L].
        k: columns to draw for each row.
        generator: as in ``sample_ranks``.

    Returns:
        (columns, mask): as the ranks of ``sample_ranks``.

    >>> generator, mask = torch.Generator().manual_seed(0), torch.tensor([[True, False, True, False]])
    >>> sample_without_replacement(torch.zeros(4), mask, 3, generator)
    (tensor([[0, 2, 0]]), tensor([[ True,  True, False]]))
    """
    n, longest = mask.shape
    columns = torch.zeros(n, k, dtype=torch.int64, device=mask.device)
    filled = torch.zeros(n, k, dtype=torch.bool, device=mask.device)
    logits, step = logits.expand(n, longest), block_rows(longest)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        keys = torch.rand(mask[rows].shape, generator=generator, device=mask.device)
        keys.clamp_(min=MIN_UNIFORM).log_().neg_().log_().neg_()  # Gumbel(0, 1)
        keys += logits[rows]
        width = min(k, longest)
        columns[rows, :width], filled[rows, :width] = top_keys(keys, mask[rows], width)
    return columns, filled


def gumbel_keys(weights: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    r"""Keys whose k largest are k columns drawn without replacement, each in proportion to its weight.

    A key is :math:`\log(u) / w`, minus an arrival time of rate w. Draws from disjoint columns may share the keys.

    Args:
        weights: >= 0, shape [n, L]; a column of weight 0 is never drawn.
        generator: as in ``sample_ranks``.

    Returns:
        shape [n, L], negative.

    >>> gumbel_keys(torch.tensor([[1.0, 0.0]]), torch.Generator().manual_seed(0))
    tensor([[-0.7007,    -inf]])
    """
    draw = torch.rand(weights.shape, generator=generator, device=weights.device)
    return draw.clamp_(min=MIN_UNIFORM).log_().div_(weights)


def top_keys(keys: torch.Tensor, mask: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The columns of the k largest keys of each row, in ascending order.

    Args:
        keys: shape [n, L].
        mask: which columns count, bool, shape [n, L]; a key of -inf does not count either.
        k: at most L.

    Returns:
        (columns, mask): as the ranks of ``sample_ranks``.

    >>> top_keys(torch.tensor([[3.0, 9.0, 5.0]]), torch.tensor([[True, False, True]]), 2)
    (tensor([[0, 2]]), tensor([[True, True]]))
    """
    longest = keys.shape[1]
    best, columns = top_k(keys.masked_fill(~mask, -torch.inf), k)
    drawn = torch.where(best > -torch.inf, columns, longest).sort(dim=1).values
    filled = drawn < longest
    return torch.where(filled, drawn, 0), filled


def sample_ranks_tournament(
    length: torch.Tensor, k: int, temperature: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Draw k ranks of each list with replacement, each the better of two with weight :math:`\exp(-r / T)`.

    Args:
        length: the number of entries of each list, shape [n].
        k: ranks to draw for each list.
        temperature: T > 0.
        generator: as in ``sample_ranks``.

    Returns:
        (ranks, mask): 0-based ranks, shape [n, k], int64, and bool: False in all slots of a list without entries, at
        rank 0. Duplicates are left to the caller.

    Source: Lee et al., ICDM 2019 (CD).

    >>> sample_ranks_tournament(torch.tensor([50]), 4, 5.0, torch.Generator().manual_seed(0))[0]
    tensor([[5, 6, 0, 2]])
    """
    # ranks grow with the number that they are looked up by: the better of two ranks is that of the smaller number
    draw = torch.rand(2, len(length), k, generator=generator, device=length.device, dtype=torch.float64).amin(0)
    length = length[:, None]
    ranks = (-temperature * torch.log1p(draw * torch.expm1(-length.double() / temperature))).long()
    return torch.minimum(ranks, (length - 1).clamp(min=0)), (length > 0).expand(-1, k)


def sample_rank_pairs(
    length: torch.Tensor, temperature: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    r"""Draw a pair of different ranks of each list, both with weight :math:`\exp(-r / T)`, given that they differ.

    No tie has to be redrawn: the pairs are laid out by their worse rank, so that those of a shorter list come first,
    and one number is looked up among their cumulated weights.

    Args:
        length: the number of entries of each list, any shape.
        temperature: T > 0.
        generator: as in ``sample_ranks``.

    Returns:
        (better, worse, mask): 0-based ranks, better < worse, and whether the list has two entries; both ranks are 0
        where it has not. The shape of ``length``.

    Source: Chen et al., WSDM 2023 (UnKD).

    >>> sample_rank_pairs(torch.tensor([20, 1]), 5.0, torch.Generator().manual_seed(0))
    (tensor([1, 0]), tensor([17,  0]), tensor([ True, False]))
    """
    longest = max(int(length.max()), 2)
    worse, better = torch.tril_indices(longest, longest, -1, device=length.device)
    cumulated = (-(better + worse - 1).double() / temperature).exp().cumsum(0)
    last = (length * (length - 1) // 2 - 1).clamp(min=0)
    draw = torch.rand(length.shape, generator=generator, device=length.device, dtype=torch.float64) * cumulated[last]
    index = torch.minimum(torch.searchsorted(cumulated, draw, right=True), last)
    mask = length > 1
    return torch.where(mask, better[index], 0), torch.where(mask, worse[index], 0), mask


@dataclass(frozen=True)
class ExcludedIds:
    """Sets of ids, one a row, that a uniform draw passes over. Padding is in each of them.

    Attributes:
        gaps: for the j-th excluded id of a row, in ascending order, how many free ids are below it; int32.
        starts: where each row begins in ``gaps``, shape [n + 1].
        size: ids run from 0 to size - 1.

    >>> excluded = ExcludedIds.from_pairs(torch.tensor([0, 0]), torch.tensor([1, 3]), n=2, size=5)
    >>> excluded.free_counts()  # 2 and 4 for the first row, 1 to 4 for the second
    tensor([2, 4])
    """

    gaps: torch.Tensor
    starts: torch.Tensor
    size: int

    @classmethod
    def from_pairs(cls, rows: torch.Tensor, ids: torch.Tensor, n: int, size: int) -> "ExcludedIds":
        """From pairs (row, id), in any order, duplicates allowed.

        Args:
            rows: row numbers below n, shape [p].
            ids: ids below ``size``, shape [p].
            n, size: the number of rows, and of ids with padding.
        """
        zero = torch.arange(n, device=rows.device)
        flat = torch.cat([rows.long() * size + ids.long(), zero * size]).unique()  # sorted
        row, identity = flat // size, flat % size
        starts = torch.searchsorted(row, torch.arange(n + 1, device=rows.device))
        return cls((identity - (torch.arange(len(flat), device=rows.device) - starts[row])).int(), starts, size)

    @classmethod
    def concat(cls, blocks: "Iterable[ExcludedIds]", most: int, size: int, device: torch.device | str) -> "ExcludedIds":
        """Sets over the same ids, one block of rows after the other; all together exclude at most ``most`` ids."""
        # into memory made beforehand: blocks that are kept would pin the memory that making the next ones took
        gaps, starts, filled = torch.empty(most, dtype=torch.int32, device=device), [], 0
        for block in blocks:
            gaps[filled : filled + len(block.gaps)] = block.gaps
            starts.append(block.starts[:-1] + filled)
            filled += len(block.gaps)
        return cls(gaps[:filled], torch.cat([*starts, torch.tensor([filled], device=device)]), size)

    def slice_rows(self, start: int, stop: int) -> "ExcludedIds":
        """The sets of the rows from ``start`` to ``stop``."""
        first, last = int(self.starts[start]), int(self.starts[stop])
        return ExcludedIds(self.gaps[first:last], self.starts[start : stop + 1] - first, self.size)

    def free_counts(self) -> torch.Tensor:
        """How many ids of each row are not excluded, shape [n]."""
        return self.size - (self.starts[1:] - self.starts[:-1])

    def excluded_below(self, x: torch.Tensor) -> torch.Tensor:
        """How many excluded ids are below each row's x-th free id: x [n, k], from 0, result the same shape."""
        row = torch.arange(len(x), device=x.device)
        keys = row.repeat_interleave(self.starts[1:] - self.starts[:-1]) * (self.size + 1) + self.gaps
        return torch.searchsorted(keys, row[:, None] * (self.size + 1) + x, right=True) - self.starts[:-1, None]


def sample_outside(excluded: ExcludedIds, k: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw k ids a row, uniform on what is not excluded, with replacement.

    No rejection and no dense mask: the x-th free id of a row is x plus the number of excluded ids below it. Among m
    free ids about k^2 / 2m of the k drawn ones are duplicates; callers mask them where it matters.

    Args:
        excluded: the ids that are passed over, a set for each row.
        k: ids to draw for each row.
        generator: as in ``sample_ranks``.

    Returns:
        (ids, mask): shape [n, k], int64, and bool: False throughout a row that has no free id, whose ids are 0.

    >>> excluded = ExcludedIds.from_pairs(torch.tensor([0, 0, 1, 1]), torch.tensor([1, 3, 1, 2]), n=2, size=5)
    >>> sample_outside(excluded, 6, torch.Generator().manual_seed(0))[0]
    tensor([[4, 4, 2, 4, 4, 4],
            [3, 3, 4, 3, 3, 3]])
    """
    free = excluded.free_counts()
    n, device = free.shape[0], free.device
    draw = torch.rand(n, k, generator=generator, device=device, dtype=torch.float64)
    ids = torch.minimum((draw * free[:, None]).long(), (free[:, None] - 1).clamp(min=0))
    step = block_rows(len(excluded.gaps) // n)
    for start in range(0, n, step):
        ids[start : start + step] += excluded.slice_rows(start, min(start + step, n)).excluded_below(
            ids[start : start + step]
        )
    mask = (free > 0)[:, None].expand(n, k)
    return torch.where(mask, ids, 0), mask


def first_occurrence_mask(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Narrow a mask to the first occurrence of each id in its row.

    The earlier column wins, so put first what must stay.

    Args:
        ids: shape [n, k].
        mask: bool, shape [n, k]; ids outside it are ignored.

    Returns:
        bool, shape [n, k].

    >>> first_occurrence_mask(torch.tensor([[5, 2, 5, 2]]), torch.tensor([[True, False, True, True]]))
    tensor([[ True, False, False,  True]])
    """
    marked = torch.where(mask, ids, -1)
    order = argsort_keys(marked)
    ordered = torch.gather(marked, 1, order)
    fresh = torch.ones_like(mask)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return torch.zeros_like(mask).scatter_(1, order, fresh) & mask


def sample_subset(values: torch.Tensor, k: int, generator: torch.Generator) -> torch.Tensor:
    """Draw k of the values without replacement, in their order; all of them where k is 0 or not below their number.

    >>> sample_subset(torch.tensor([10, 20, 30, 40]), 2, torch.Generator().manual_seed(0))
    tensor([10, 20])
    """
    if k <= 0 or len(values) <= k:
        return values
    chosen = torch.rand(len(values), generator=generator, device=values.device).topk(k).indices
    return values[chosen.sort().values]
