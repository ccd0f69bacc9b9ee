"""Means over seeds and paired comparisons of them: pure functions of numbers."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from scipy import stats

RESAMPLES = 9999


class Description(TypedDict):
    """The mean and the spread of a sample.

    Attributes:
        n: number of values.
        mean: None without values.
        sd: standard deviation of the sample; None for fewer than two values.
    """

    n: int
    mean: float | None
    sd: float | None


class PairedComparison(TypedDict):
    """A paired comparison of two samples. All but ``n`` and ``difference`` are None for fewer than two pairs.

    Attributes:
        n: number of pairs.
        difference: the mean of the differences; None without pairs.
        t: statistic of the paired t-test; None where all differences are equal.
        p: its two-sided p-value. Where all differences are equal it is 1 if they are 0, and 0 otherwise.
        t_low: lower end of the 95% interval of the t-test.
        t_high: upper end of it.
        low: lower end of the 95% bootstrap interval.
        high: upper end of it.
    """

    n: int
    difference: float | None
    t: float | None
    p: float | None
    t_low: float | None
    t_high: float | None
    low: float | None
    high: float | None


def describe(values: Sequence[float]) -> Description:
    """The mean and the standard deviation of some numbers.

    >>> describe([1.0, 2.0, 3.0])
    {'n': 3, 'mean': 2.0, 'sd': 1.0}
    """
    count = len(values)
    return {
        "n": count,
        "mean": float(np.mean(values)) if count else None,
        "sd": float(np.std(values, ddof=1)) if count > 1 else None,
    }


def paired(values: Sequence[float] | np.ndarray, references: Sequence[float] | np.ndarray) -> PairedComparison:
    """Compare two samples whose values belong together in pairs, one pair for each seed.

    Args:
        values: the first sample.
        references: the second sample; differences are ``values`` - ``references``.
    """
    differences = np.asarray(values, dtype=float) - np.asarray(references, dtype=float)
    count = len(differences)
    result: PairedComparison = {
        "n": count,
        "difference": float(differences.mean()) if count else None,
        "t": None,
        "p": None,
        "t_low": None,
        "t_high": None,
        "low": None,
        "high": None,
    }
    if count < 2:
        return result
    mean, error = differences.mean(), stats.sem(differences)
    low, high = bootstrap(differences)
    if not error > 1e-12 * abs(mean):  # all differences are equal but for rounding
        result.update({"p": float(not mean), "t_low": float(mean), "t_high": float(mean)})
    else:
        t_low, t_high = stats.t.interval(0.95, count - 1, mean, error)
        p = 2 * stats.t.sf(abs(mean / error), count - 1)
        result.update({"t": float(mean / error), "p": float(p), "t_low": float(t_low), "t_high": float(t_high)})
    result.update({"low": low, "high": high})
    return result


def bootstrap(values: Sequence[float] | np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """The 95% percentile bootstrap interval of the mean.

    Args:
        values: the sample.
        resamples: number of resamples.
        seed: of the resampling, so that every call returns the same interval.

    Returns:
        The lower and the upper end.
    """
    values = np.asarray(values, dtype=float)
    indices = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[indices].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment of p-values that are tested together.

    Args:
        p_values: the p-values; None is not counted.

    Returns:
        The adjusted p-values, in the same order; None stays None.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6, 1979.

    >>> [p and round(p, 4) for p in holm([0.01, None, 0.04, 0.03])]
    [0.03, None, 0.06, 0.06]
    """
    known = [(p, index) for index, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(sorted(known, key=lambda pair: pair[0])):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[index] = highest
    return adjusted
