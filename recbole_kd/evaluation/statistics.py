"""Means over seeds and paired comparisons of them: pure functions of lists of numbers."""

import numpy as np
from scipy import stats

RESAMPLES = 9999


def describe(values):
    """Mean and standard deviation (of a sample; None for fewer than two) of numbers, a dict with ``n``."""
    count = len(values)
    return {
        "n": count,
        "mean": float(np.mean(values)) if count else None,
        "sd": float(np.std(values, ddof=1)) if count > 1 else None,
    }


def paired(ones, others):
    """Paired comparison of two lists of numbers, one pair a seed.

    Returns:
        dict: ``n``, ``difference`` (mean of ones - others), ``t`` and ``p`` of the two-sided paired t-test, ``t_low``
        and ``t_high``, its 95% interval, ``low`` and ``high``, the bootstrap's. All but the first two are None for
        fewer than two pairs. Differences that are all the same have no t: p is 1 where they are 0, and 0 elsewhere.
    """
    differences = np.asarray(ones, dtype=float) - np.asarray(others, dtype=float)
    count = len(differences)
    found = {"n": count, "difference": float(differences.mean()) if count else None}
    if count < 2:
        return found | dict.fromkeys(("t", "p", "t_low", "t_high", "low", "high"))
    mean, error = differences.mean(), stats.sem(differences)
    low, high = bootstrap(differences)
    if not error > 1e-12 * abs(mean):  # no more than rounding
        test = {"t": None, "p": float(not mean), "t_low": float(mean), "t_high": float(mean)}
    else:
        t_low, t_high = stats.t.interval(0.95, count - 1, mean, error)
        p = 2 * stats.t.sf(abs(mean / error), count - 1)
        test = {"t": float(mean / error), "p": float(p), "t_low": float(t_low), "t_high": float(t_high)}
    return found | test | {"low": low, "high": high}


def bootstrap(values, resamples=RESAMPLES, seed=0):
    """95% percentile bootstrap interval of the mean, the same at every call: (low, high)."""
    values = np.asarray(values, dtype=float)
    drawn = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def holm(p_values):
    """Holm's step-down adjustment of p-values that are tested together; None stays None and does not count."""
    places = sorted((place for place, p in enumerate(p_values) if p is not None), key=lambda place: p_values[place])
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(places):
        highest = max(highest, min(1.0, (len(places) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
