"""The statistics of a comparison, against scipy and against slow references."""

import numpy as np
import pytest
from scipy import stats

from recbole_kd.evaluation.statistics import bootstrap, holm, paired


@pytest.mark.parametrize("count", [2, 3, 5, 12])
def test_a_paired_comparison_equals_scipy(count):
    draw = np.random.default_rng(count)
    ones, others = draw.normal(1, 1, count), draw.normal(0, 1, count)
    result, expected = paired(ones, others), stats.ttest_rel(ones, others)
    interval = expected.confidence_interval(0.95)
    assert result["n"] == count and result["difference"] == pytest.approx(np.mean(ones - others))
    assert [result[key] for key in ("t", "p", "t_low", "t_high")] == pytest.approx(
        [expected.statistic, expected.pvalue, interval.low, interval.high]
    )


def test_a_paired_comparison_without_spread_or_without_pairs():
    assert paired([], [])["difference"] is None and paired([2.0], [1.5])["difference"] == 0.5
    assert paired([2.0], [1.5])["p"] is None
    same, shifted = paired([0.1, 0.2], [0.1, 0.2]), paired([0.3, 0.4, 0.7], [0.2, 0.3, 0.6])
    assert (same["p"], same["t"], same["low"], same["high"]) == (1.0, None, 0.0, 0.0)
    assert (shifted["p"], shifted["t"]) == (0.0, None) and shifted["t_low"] == pytest.approx(0.1)


def test_the_bootstrap_equals_scipy_and_is_deterministic():
    values = np.random.default_rng(3).normal(1, 2, 20)
    expected = stats.bootstrap((values,), np.mean, n_resamples=9999, method="percentile", vectorized=True)
    assert bootstrap(values) == pytest.approx(list(expected.confidence_interval), abs=0.05)
    assert bootstrap(values) == bootstrap(values)
    assert bootstrap([0.0, 1.0]) == (0.0, 1.0)  # of two values, each end is drawn a quarter of the time


def slow_holm(p_values):
    """The smallest level at which the step-down procedure rejects each hypothesis, found by trying."""
    levels = sorted({min(1.0, k * p) for p in p_values for k in range(1, len(p_values) + 1)} | {1.0})

    def rejected(level):
        out, order = set(), sorted(range(len(p_values)), key=lambda index: p_values[index])
        for rank, index in enumerate(order):
            if p_values[index] > level / (len(p_values) - rank) * (1 + 1e-12):
                break
            out.add(index)
        return out

    return [
        next(level for level in levels if index in rejected(level) or level == 1.0) for index in range(len(p_values))
    ]


def test_holm_is_the_step_down_procedure():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, None, 0.01]) == pytest.approx([0.5, None, 0.02]) and holm([]) == [] and holm([0.9, 0.9]) == [1, 1]
    draw = np.random.default_rng(0)
    for count in range(1, 7):
        p_values = (draw.random(count) ** 3).tolist()
        assert holm(p_values) == pytest.approx(slow_holm(p_values))
