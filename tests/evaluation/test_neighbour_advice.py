"""The advice on ``neighbour_weight``: what it compares, when it is given, and that it changes nothing."""

import pytest

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.quick_start import run_kd
from recbole_kd.testing import same_weights


def test_advice_compares_what_runs_with_and_without_neighbours_score_on_validation(settings):
    result = run_kd("MKD", config_dict={**settings, "metric_decimal_place": 16})
    advice = result["neighbours_worth"]
    assert advice["metric"] == "mrr@10" and advice["better"] == (advice["with"] > advice["without"])
    # the teacher's lists rank as the teacher does, and the joined lists as in a run with neighbour_weight
    assert advice["without"] == pytest.approx(result["teacher"]["valid_result"]["mrr@10"], abs=1e-12)
    joined = run_kd("MKD", config_dict={**settings, "metric_decimal_place": 16, "neighbour_weight": 1.0})
    assert advice["with"] == pytest.approx(joined["with_neighbours"]["valid_result"]["mrr@10"], abs=1e-12)
    assert advice["with"] != advice["without"] and "neighbours_worth" not in joined


@pytest.mark.parametrize("method, keys", [
    ("DE", {}),  # reads factors only
    ("SLD", {"teacher_model": "EASE"}),  # has no factors
    ("RRD", {"teacher_model": ["BPR", "EASE"]}),
    ("SLD", {"eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "mode": "uni20"}}),  # items beyond the lists tie
    ("SLD", {"eval_args": {"split": {"RS": [0.8, 0.0, 0.2]}}}),
    ("SLD", {"repeatable": True}),  # a model ranks what was trained on too, and its lists do not
    ("MKD", {"sld_weight": 0.0, "cpd_weight": 0.0}),  # only NKD is left
])  # fmt: skip
def test_no_advice_where_neighbours_change_nothing_or_cannot_be_measured(settings, method, keys):
    assert "neighbours_worth" not in run_kd(method, config_dict={**settings, **keys})


def test_a_smaller_value_of_some_metrics_is_better(settings):
    keys = {"metrics": ["NDCG", "AveragePopularity"], "topk": [5], "valid_metric": "AveragePopularity@5"}
    advice = run_kd("SLD", config_dict={**settings, **keys})["neighbours_worth"]
    assert advice["metric"] == "averagepopularity@5" and advice["better"] == (advice["with"] < advice["without"])


def test_no_advice_on_a_teacher_that_may_have_seen_the_validation_pairs(settings):
    file = run_kd("SLD", config_dict={**settings, "seed": 7})["teacher"]["checkpoint"]
    keys = {key: value for key, value in settings.items() if key != "teacher"}
    result = run_kd("SLD", config_dict={**keys, "teacher_path": file, "teacher_check": "warn"})
    assert "warning" in result["teacher"] and "neighbours_worth" not in result


def test_the_comparison_leaves_the_generators_alone(settings, monkeypatch):
    weights = []
    for advised in (True, False):
        if not advised:
            monkeypatch.setattr("recbole_kd.experiment.neighbour_advice", lambda *args: None)
        result = run_kd("MKD", config_dict={**settings, "checkpoint_dir": f"saved-{advised}"})
        assert ("neighbours_worth" in result) == advised
        weights.append(read_checkpoint(result["distilled"]["checkpoint"])["state_dict"])
    assert same_weights(*weights)
