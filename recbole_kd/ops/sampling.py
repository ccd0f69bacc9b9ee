"""Drawing items and ranks, for all users at once. Randomness comes only from the generator that is handed in.

Ids are RecBole's: 0 is padding and is never drawn.
"""

from dataclasses import dataclass

import torch

from recbole_kd.ops.blocks import block_rows
from recbole_kd.ops.ranking import argsort_keys, top_k


def sample_ranks(length, k, temperature, generator):
    r"""Draw k distinct ranks of each list, rank r with weight :math:`\exp(-r / T)`, and sort them, best first.

    Gumbel top-k in the log domain: the same law as one draw after the other, without weights that underflow.

    Args:
        length: how many entries of each list are there, shape [n], each at most L.
        k: ranks a list.
        temperature: T > 0.
        generator: where the randomness comes from; its device is the result's.

    Returns:
        (ranks, there): 0-based ranks, shape [n, k], int64, and whether a slot is filled, bool, shape [n, k]; a list
        with fewer than k entries leaves its last slots unfilled, at rank 0.

    Source: DE-RRD (Kang et al. 2020, 3.2), the relaxed draw of interesting items.
    """
    longest = max(int(length.max()) if length.numel() else 0, 1)
    place = torch.arange(longest, device=length.device)
    return sample_without_replacement(-(place + 1) / temperature, place < length[:, None], k, generator)


def sample_without_replacement(logits, there, k, generator):
    r"""Draw k distinct columns of each row, a column with weight :math:`\exp` (logit), and sort them.

    Args:
        logits: the logarithms of the weights, up to a constant a row; of any shape that broadcasts to [n, L].
        there: which columns can be drawn, bool, shape [n, L].
        k, generator: as for rank_weighted.

    Returns:
        (columns, there): as rank_weighted's ranks.
    """
    n, longest = there.shape
    columns = torch.zeros(n, k, dtype=torch.int64, device=there.device)
    filled = torch.zeros(n, k, dtype=torch.bool, device=there.device)
    logits, step = logits.expand(n, longest), block_rows(longest)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        keys = torch.rand(there[rows].shape, generator=generator, device=there.device)
        keys.clamp_(min=1e-38).log_().neg_().log_().neg_()  # Gumbel(0, 1)
        keys += logits[rows]
        width = min(k, longest)
        columns[rows, :width], filled[rows, :width] = top_keys(keys, there[rows], width)
    return columns, filled


def gumbel_keys(weights, generator):
    r"""Keys of which the k largest among some columns are k columns drawn without replacement, each in proportion to
    its weight: :math:`\log(u) / w`, minus an arrival time of rate w. Draws from different columns may share them.

    Args:
        weights: >= 0, shape [n, L]; 0 is never drawn.
        generator: as for rank_weighted.

    Returns:
        shape [n, L], negative.
    """
    draw = torch.rand(weights.shape, generator=generator, device=weights.device)
    return draw.clamp_(min=1e-38).log_().div_(weights)


def top_keys(keys, there, k):
    """The columns of the k largest keys of each row, ascending, and which of them there are: as rank_weighted's ranks.

    Args:
        keys: shape [n, L].
        there: which columns count, bool, shape [n, L]; a key of -inf counts for none.
        k: at most L.
    """
    longest = keys.shape[1]
    best, columns = top_k(keys.masked_fill(~there, -torch.inf), k)
    drawn = torch.where(best > -torch.inf, columns, longest).sort(dim=1).values
    filled = drawn < longest
    return torch.where(filled, drawn, 0), filled


def sample_ranks_tournament(length, k, temperature, generator):
    r"""Draw k ranks of each list with replacement, each the better of two with weight :math:`\exp(-r / T)`.

    Args:
        length: how many entries each list has, shape [n].
        k, temperature, generator: as for rank_weighted.

    Returns:
        (ranks, there): 0-based ranks, shape [n, k], int64, and bool: False throughout a list without entries, at rank
        0. Doubles are left to the caller.

    Source: Lee et al., ICDM 2019 (CD).
    """
    # ranks grow with the number that they are looked up by: the better of two ranks is that of the smaller number
    draw = torch.rand(2, len(length), k, generator=generator, device=length.device, dtype=torch.float64).amin(0)
    length = length[:, None]
    ranks = (-temperature * torch.log1p(draw * torch.expm1(-length.double() / temperature))).long()
    return torch.minimum(ranks, (length - 1).clamp(min=0)), (length > 0).expand(-1, k)


def sample_rank_pairs(length, temperature, generator):
    r"""Draw a pair of different ranks of each list, both with weight :math:`\exp(-r / T)`, ties thrown away.

    Without a tie to redraw: the pairs are laid out by their worse rank, so that those of a shorter list come first,
    and one number is looked up among their cumulated weights.

    Args:
        length: how many entries each list has, of any shape.
        temperature: T > 0.
        generator: as for rank_weighted.

    Returns:
        (better, worse, there): 0-based ranks, better < worse, and whether the list has two entries; both 0 where not.

    Source: Chen et al., WSDM 2023 (UnKD).
    """
    longest = max(int(length.max()), 2)
    worse, better = torch.tril_indices(longest, longest, -1, device=length.device)
    reach = (-(better + worse - 1).double() / temperature).exp().cumsum(0)
    last = (length * (length - 1) // 2 - 1).clamp(min=0)
    draw = torch.rand(length.shape, generator=generator, device=length.device, dtype=torch.float64) * reach[last]
    place = torch.minimum(torch.searchsorted(reach, draw, right=True), last)
    there = length > 1
    return torch.where(there, better[place], 0), torch.where(there, worse[place], 0), there


@dataclass(frozen=True)
class ExcludedIds:
    """Sets of ids, one a row, that a uniform draw passes over; padding is in each of them.

    Attributes:
        gaps: for the j-th excluded id of a row, in ascending order, how many free ids lie below it; int32.
        starts: where each row begins in ``gaps``, shape [n + 1].
        size: ids run from 0 to size - 1.
    """

    gaps: torch.Tensor
    starts: torch.Tensor
    size: int

    @classmethod
    def from_pairs(cls, rows, ids, n, size):
        """From pairs (row, id), in any order, doubles allowed. Shapes [p] and [p]; n rows over ids below ``size``."""
        zero = torch.arange(n, device=rows.device)
        flat = torch.cat([rows.long() * size + ids.long(), zero * size]).unique()  # sorted
        row, identity = flat // size, flat % size
        starts = torch.searchsorted(row, torch.arange(n + 1, device=rows.device))
        return cls((identity - (torch.arange(len(flat), device=rows.device) - starts[row])).int(), starts, size)

    @classmethod
    def concat(cls, parts, most, size, device):
        """Sets over the same ids, one after the other; ``most`` excluded ids at most in all of them."""
        # into one place made beforehand: parts that are kept would pin the memory that making the next ones took
        gaps, starts, filled = torch.empty(most, dtype=torch.int32, device=device), [], 0
        for part in parts:
            gaps[filled : filled + len(part.gaps)] = part.gaps
            starts.append(part.starts[:-1] + filled)
            filled += len(part.gaps)
        return cls(gaps[:filled], torch.cat([*starts, torch.tensor([filled], device=device)]), size)

    def slice_rows(self, start, stop):
        """The rows from ``start`` to ``stop`` as sets of their own."""
        first, last = int(self.starts[start]), int(self.starts[stop])
        return ExcludedIds(self.gaps[first:last], self.starts[start : stop + 1] - first, self.size)

    def free_counts(self):
        """How many ids of each row are left, shape [n]."""
        return self.size - (self.starts[1:] - self.starts[:-1])

    def excluded_below(self, x):
        """How many excluded ids lie below each row's x-th free id: x [n, k], from 0, result the same shape."""
        row = torch.arange(len(x), device=x.device)
        keys = row.repeat_interleave(self.starts[1:] - self.starts[:-1]) * (self.size + 1) + self.gaps
        return torch.searchsorted(keys, row[:, None] * (self.size + 1) + x, right=True) - self.starts[:-1, None]


def sample_outside(excluded, k, generator):
    """Draw k ids a row, uniform on what is not excluded, with replacement.

    No rejection and no dense mask: the x-th free id of a row is x plus the number of excluded ids that lie below it.
    With replacement: among m ids about k^2 / 2m of k are doubles, which callers mask where it matters.

    Returns:
        (ids, there): shape [n, k], int64, and bool: False throughout a row that has nothing left, whose ids are 0.
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
    there = (free > 0)[:, None].expand(n, k)
    return torch.where(there, ids, 0), there


def first_occurrence_mask(ids, there):
    """Narrow ``there`` to the first appearance of each id in its row. Shapes [n, k], result bool [n, k].

    The earlier column wins, so put first what must stay.
    """
    marked = torch.where(there, ids, -1)
    order = argsort_keys(marked)
    ordered = torch.gather(marked, 1, order)
    fresh = torch.ones_like(there)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return torch.zeros_like(there).scatter_(1, order, fresh) & there


def sample_subset(values, k, generator):
    """k of the values, without replacement, in their order; all of them where k is 0 or as many as there are."""
    if k <= 0 or len(values) <= k:
        return values
    chosen = torch.rand(len(values), generator=generator, device=values.device).topk(k).indices
    return values[chosen.sort().values]
