"""Ranked lists: how they are made of scores, and what can be said of them without. Pure functions, a row a user; id 0
is padding.
"""

import numpy as np
import torch

MAX_MARKS = 1_000_000  # ids marked at once, a byte each
_LOW_BITS = (1 << 32) - 1  # the lower half of a key, a column


def top_k(scores, k):
    """The k best columns of each row: what ``scores.topk(k, dim=1)`` gives, in a fifth of its time on a CPU.

    The k-th best of the best of chunks bounds the k-th best of all from below, so what lies below it is left out before
    anything is sorted.

    Args:
        scores: float32 for the short way, without gradient, shape [n, m]; -inf for what must not be found.
        k: at most m.

    Returns:
        (values, columns): shape [n, k], best first; of equal scores any may come first.
    """
    keys = _top_packed(scores, k)
    return scores.topk(k, dim=1) if keys is None else _unpack(keys)


def top_k_of_chunks(parts, k):
    """``top_k`` of scores that come in parts, side by side, and are never there as a whole.

    What is not above the k-th best of the parts before is left out; what is waits until there is as much of it as of
    the best.

    Args:
        parts: float32 on a CPU, shape [n, c] each, the first of them with k columns at least.
        k: at most as many as there are columns.
    """
    parts = iter(parts)
    scores = next(parts)
    keys = _top_packed(scores, k)
    if keys is None:
        values, columns = scores.topk(k, dim=1)
        keys = _pack(values.numpy(), columns.numpy())
    first, waiting, number = scores.shape[1], [], 0
    for scores in parts:
        bound = _unpack(keys[:, -1:])[0].numpy()
        waiting.append(_pack_selected(scores.numpy() > bound, scores.numpy(), first))
        first += scores.shape[1]
        number += waiting[-1].size
        if number > keys.size:
            keys, waiting, number = _sort_packed([keys, *waiting], k), [], 0
    return _unpack(_sort_packed([keys, *waiting], k))


def _top_packed(scores, k):
    """The keys of the k best columns of each row, best first; None where the short way does not pay."""
    n, m = scores.shape
    chunk = min(32, m // (4 * k)) if k else 0  # shorter chunks leave fewer columns over, longer ones find them sooner
    if not n or chunk < 1 or scores.device.type != "cpu" or scores.dtype != torch.float32:
        return None
    values, width = scores.numpy(), m // chunk
    bests = values[:, : chunk * width].reshape(n, chunk, width).max(axis=1)
    if np.isnan(bests).any() or np.isnan(values[:, chunk * width :]).any():  # what is no number is above no bound
        return None
    bound = np.partition(bests, width - k, axis=1)[:, width - k]
    above = values >= bound[:, None]
    if np.count_nonzero(above) > values.size // 8:  # many are equal, and little is left out
        return None
    return _sort_packed([_pack_selected(above, values, 0)], k)


def _pack_selected(chosen, values, first):
    """The keys of the chosen columns of each row, at its left; the first column is ``first``."""
    n, m = chosen.shape
    found, rows = np.flatnonzero(chosen), np.arange(n)
    starts = np.searchsorted(found, np.arange(n + 1) * m)
    counts = np.diff(starts)
    width = counts.max()
    keys = np.full((n, width), np.iinfo(np.int64).min)  # below every key
    place = np.arange(len(found)) + np.repeat(rows * width - starts[:-1], counts)
    keys.reshape(-1)[place] = _pack(values.reshape(-1)[found], found + np.repeat(first - rows * m, counts))
    return keys


def _pack(values, columns):
    """Scores and their columns as one number each, int64, in the scores' order, of equal ones the first column above:
    such numbers are sorted in a fraction of the time that scores take with their places.
    """
    return _ordered_bits((values + np.float32(0)).view(np.int32)).astype(np.int64) << 32 | _LOW_BITS - columns


def _ordered_bits(bits):
    """float32's bits as int32 in the order of the numbers, -0 made 0 before; and back."""
    return bits ^ (bits >> 31 & np.int32(0x7FFFFFFF))


def _sort_packed(keys, k):
    """The k largest of each row of some arrays of keys, largest first."""
    return np.sort(keys[0] if len(keys) == 1 else np.concatenate(keys, 1), axis=1)[:, : -k - 1 : -1]


def _unpack(keys):
    """(scores, columns) of keys."""
    values = _ordered_bits((keys >> 32).astype(np.int32)).view(np.float32)
    return torch.from_numpy(values), torch.from_numpy(_LOW_BITS - (keys & _LOW_BITS))


def membership(ids, lists):
    """Whether each id stands in its row's list; 0 stands in none. Shapes [n, a] and [n, b], result bool [n, a]."""
    size = 1 + max((int(part.max()) for part in (ids, lists) if part.numel()), default=0)
    if ids.device.type != "cpu" or size > MAX_MARKS // 4:
        ordered = lists.sort(dim=1).values
        place = torch.searchsorted(ordered, ids.contiguous()).clamp_(max=ordered.shape[1] - 1)
        return (torch.gather(ordered, 1, place) == ids) & (ids > 0)
    # what is listed is marked and looked up, a few rows at a time: on a CPU in a quarter of a search's time or less
    found = torch.empty(ids.shape, dtype=torch.bool)
    marks = torch.zeros(MAX_MARKS // size, size, dtype=torch.bool)
    for first in range(0, len(ids), len(marks)):
        rows = slice(first, first + len(marks))
        part, listed = marks[: len(ids[rows])], lists[rows].long()
        part.scatter_(1, listed, True)
        part[:, 0] = False
        found[rows] = part.gather(1, ids[rows].long())
        part.scatter_(1, listed, False)
    return found


def argsort_keys(keys):
    """Each row's columns in the order of ascending keys, equal ones as they stand: what a stable argsort gives, in a
    fifth of its time on a CPU.

    Args:
        keys: integers of at most 48 bits, shape [n, m].
    """
    m = keys.shape[1]
    if keys.device.type != "cpu" or m > 1 << 15:
        return keys.argsort(dim=1, stable=True)
    packed = keys.long() << 15 | torch.arange(m)  # numbers are sorted in a fraction of what their places take
    return torch.from_numpy(np.sort(packed.numpy(), axis=1)) & (1 << 15) - 1


def argsort_descending(scores):
    """The columns of each row, best first, equal ones as they stand: scores [n, m], without gradient."""
    if scores.dtype != torch.float32:
        return scores.argsort(dim=1, descending=True, stable=True)
    bits = (scores + 0.0).view(torch.int32)  # which orders what is not negative; -0 is no less than 0
    return argsort_keys(~torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits))


def consensus(ids, weights, k):
    """One list of several: an id's weights are added up over the columns that it stands in, the heaviest k are kept.

    Args:
        ids: int, shape [n, c]; 0 counts for nothing.
        weights: shape that broadcasts to [n, c], >= 0.
        k: length of the list.

    Returns:
        (ids, weights): int32 and float32, shape [n, k], best first, the smaller id first where two weigh the same;
        0 and 0.0 where there are fewer than k.

    Source: the importance of Kang et al., WWW 2023 (HetComp, Eq. 8), as their earlier ConCF has it; reconstructed.
    """
    weights = weights.expand(ids.shape).double()
    ids, order = ids.sort(dim=1, stable=True)
    first = torch.ones_like(ids, dtype=torch.bool)
    first[:, 1:] = ids[:, 1:] != ids[:, :-1]
    run = first.long().cumsum(1) - 1
    sums = torch.zeros(ids.shape, dtype=torch.float64, device=ids.device)
    sums.scatter_add_(1, run, weights.gather(1, order))
    kept = torch.where(first & (ids > 0), sums.gather(1, run), 0.0)
    # the ids ascend, so a stable sort leaves the smaller one first; rounded, or noise would decide between equals, and
    # as logarithms, or all that is far down would be equal, or nothing
    best, place = kept.log().round(decimals=9).sort(dim=1, descending=True, stable=True)
    best, place = best[:, :k].exp(), place[:, :k]
    found = torch.where(best > 0, ids.gather(1, place), 0).int()
    missing = (0, k - found.shape[1])
    return torch.nn.functional.pad(found, missing), torch.nn.functional.pad(best.float(), missing)


def rank_weights(length, temperature, device=None):
    r""":math:`\exp(-r / T)` for the ranks r = 1 .. length, shape [length], float64; never nothing at all."""
    return torch.exp(-torch.arange(1, length + 1, dtype=torch.float64, device=device) / temperature).clamp(min=1e-300)


def list_discrepancy(own, wanted):
    r"""How far a student's list is from a wanted one, in [0, 1], a number a user, to four decimals as the authors' code
    has it.

    With the student's items :math:`r_0 .. r_{k-1}` and Q the first k that are wanted:

    .. math:: D = 1 - \frac{\sum_t 1[r_t \in Q] \, g_t}{\sum_t g_t},
        \quad g_t = \frac{2^{\exp(-t/10)} - 1}{\log_2(t + 2)}

    Args:
        own: the student's k best items, shape [n, k].
        wanted: shape [n, K]; those beyond k do not count. A user without any item of their own is at 1.

    Source: Kang et al., WWW 2023 (HetComp), section 4.2, after the authors' code.
    """
    t = torch.arange(own.shape[1], dtype=torch.float64, device=own.device)
    gain = (2 ** torch.exp(-t / 10) - 1) / torch.log2(t + 2)
    met = (membership(own, wanted[:, : own.shape[1]]) * gain).sum(1)
    whole = ((own > 0) * gain).sum(1)
    return (1 - met / whole.clamp(min=1e-12)).round(decimals=4)
