"""Drawing items and ranks, for all users at once. Randomness comes only from the generator that is handed in.

Ids are RecBole's: 0 is padding and is never drawn.
"""

import itertools
from dataclasses import dataclass

import torch


def rank_weighted(length, k, temperature, generator):
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
    return without_replacement(-(place + 1) / temperature, place < length[:, None], k, generator)


def without_replacement(logits, there, k, generator):
    r"""Draw k distinct columns of each row, a column with weight :math:`\exp` (logit), and sort them.

    Args:
        logits: the logarithms of the weights, up to a constant a row; of any shape that broadcasts to [n, L].
        there: which columns can be drawn, bool, shape [n, L].
        k, generator: as for rank_weighted.

    Returns:
        (columns, there): as rank_weighted's ranks.
    """
    n, longest = there.shape
    keys = torch.rand(n, longest, generator=generator, device=there.device)
    keys = -(-keys.clamp_(min=1e-38).log_()).log_()  # Gumbel(0, 1)
    keys += logits
    keys.masked_fill_(~there, -torch.inf)
    columns = keys.topk(min(k, longest), dim=1).indices
    there = torch.gather(keys, 1, columns) > -torch.inf
    columns = torch.where(there, columns, longest).sort(dim=1).values
    there = columns < longest
    columns = torch.where(there, columns, 0)
    if columns.shape[1] < k:
        pad = (0, k - columns.shape[1])
        columns, there = torch.nn.functional.pad(columns, pad), torch.nn.functional.pad(there, pad)
    return columns, there


def rank_tournament(length, k, temperature, generator):
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


def rank_pairs(length, temperature, generator):
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
class Excluded:
    """Sets of ids, one a row, that a uniform draw passes over; padding is in each of them.

    Attributes:
        keys: row * (size + 1) + gap key of each excluded id, sorted, int64.
        starts: where each row begins in ``keys``, shape [n + 1].
        size: ids run from 0 to size - 1.
    """

    keys: torch.Tensor
    starts: torch.Tensor
    size: int

    @classmethod
    def of(cls, rows, ids, n, size):
        """From pairs (row, id), in any order, doubles allowed. Shapes [p] and [p]; n rows over ids below ``size``."""
        zero = torch.arange(n, device=rows.device)
        flat = torch.cat([rows.long() * size + ids.long(), zero * size]).unique()  # sorted
        row, identity = flat // size, flat % size
        starts = torch.searchsorted(row, torch.arange(n + 1, device=rows.device))
        # the gap key of the j-th excluded id E_j is E_j - j: how many free ids lie below it
        gap = identity - (torch.arange(len(flat), device=rows.device) - starts[row])
        return cls(row * (size + 1) + gap, starts, size)

    @classmethod
    def joined(cls, parts):
        """Sets over the same ids, one after the other."""
        first = [0, *itertools.accumulate(len(part.starts) - 1 for part in parts)]
        before = [0, *itertools.accumulate(len(part.keys) for part in parts)]
        size = parts[0].size
        keys = torch.cat([part.keys + row * (size + 1) for part, row in zip(parts, first, strict=False)])
        starts = [part.starts[:-1] + count for part, count in zip(parts, before, strict=False)]
        return cls(keys, torch.cat([*starts, starts[0].new_tensor([before[-1]])]), size)

    def rows(self, start, stop):
        """The rows from ``start`` to ``stop`` as sets of their own."""
        first, last = int(self.starts[start]), int(self.starts[stop])
        keys = self.keys[first:last] - start * (self.size + 1)
        return Excluded(keys, self.starts[start : stop + 1] - first, self.size)

    def free(self):
        """How many ids of each row are left, shape [n]."""
        return self.size - (self.starts[1:] - self.starts[:-1])


def uniform_outside(excluded, k, generator):
    """Draw k ids a row, uniform on what is not excluded, with replacement.

    No rejection and no dense mask: the x-th free id of a row is x plus the number of excluded ids with gap key <= x.
    With replacement: among m ids about k^2 / 2m of k are doubles, which callers mask where it matters.

    Returns:
        (ids, there): shape [n, k], int64, and bool: False throughout a row that has nothing left, whose ids are 0.
    """
    free = excluded.free()
    n, device = free.shape[0], free.device
    draw = torch.rand(n, k, generator=generator, device=device, dtype=torch.float64)
    x = torch.minimum((draw * free[:, None]).long(), (free[:, None] - 1).clamp(min=0))
    row = torch.arange(n, device=device)[:, None]
    position = torch.searchsorted(excluded.keys, row * (excluded.size + 1) + x, right=True)
    there = (free > 0)[:, None].expand(n, k)
    return torch.where(there, x + position - excluded.starts[:-1, None], 0), there


def first_of_each(ids, there):
    """Narrow ``there`` to the first appearance of each id in its row. Shapes [n, k], result bool [n, k].

    The earlier column wins, so put first what must stay.
    """
    marked = torch.where(there, ids, -1)
    order = torch.argsort(marked, dim=1, stable=True)
    ordered = torch.gather(marked, 1, order)
    fresh = torch.ones_like(there)
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return torch.zeros_like(there).scatter_(1, order, fresh) & there


def is_in(ids, lists):
    """Whether each id stands in its row's list; 0 stands in none. Shapes [n, a] and [n, b], result bool [n, a]."""
    ordered = lists.sort(dim=1).values
    place = torch.searchsorted(ordered, ids.contiguous()).clamp_(max=ordered.shape[1] - 1)
    return (torch.gather(ordered, 1, place) == ids) & (ids > 0)


def some_of(values, k, generator):
    """k of the values, without replacement, in their order; all of them where k is 0 or as many as there are."""
    if k <= 0 or len(values) <= k:
        return values
    chosen = torch.rand(len(values), generator=generator, device=values.device).topk(k).indices
    return values[chosen.sort().values]
