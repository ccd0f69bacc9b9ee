"""eval_mask: what a ranking at test leaves out, for teacher, student alone and distilled alike."""

import numpy as np
import pytest
import torch
from recbole.quick_start import run_recbole

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.compare.expand import plan_runs
from recbole_kd.compare.plan import make_plan
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import Split, prepare_split
from recbole_kd.errors import KDError
from recbole_kd.evaluation.metrics import evaluate
from recbole_kd.experiment import make_config
from recbole_kd.quick_start import load_student, run_kd
from recbole_kd.trainer import training
from recbole_kd.trainer.cache_key import outcome_settings


def split_of(settings, **keys):
    return prepare_split(plain_config(make_config("SLD", config_dict={**settings, **keys})))


def items_of(data, part, user):
    size = len(data.tokens[1])
    return set((data.pairs[part][data.pairs[part] // size == user] % size).tolist())


def ndcg_by_hand(scores, data, part, hidden, k=10):
    """Over the users who have something in the part, what ``hidden`` names left out, entry by entry."""
    values = []
    for user in range(1, len(data.tokens[0])):
        wanted = items_of(data, part, user)
        if not wanted:
            continue
        left_out = set().union(*(items_of(data, name, user) for name in hidden)) - wanted
        ranked = [item for item in np.argsort(-scores[user]) if item != 0 and item not in left_out][:k]
        gain = sum(1 / np.log2(place + 2) for place, item in enumerate(ranked) if item in wanted)
        values.append(gain / sum(1 / np.log2(place + 2) for place in range(min(k, len(wanted)))))
    return np.mean(values)


def test_only_training_items_are_hidden_at_test_and_nothing_else_changes(settings):
    stock = split_of(settings)
    stock_first = next(iter(stock.train))
    data = split_of(settings, eval_mask="train")
    first = next(iter(data.train))
    assert all(torch.equal(first[name], stock_first[name]) for name in first.interaction)
    assert data.fingerprint == stock.fingerprint
    held_out = 0
    for user in data.test.uid_list.tolist():
        hidden, stock_hidden = (set(one.test.uid2history_item[user].tolist()) for one in (data, stock))
        assert hidden == items_of(data, "train", user)
        assert stock_hidden == items_of(data, "train", user) | items_of(data, "valid", user)
        held_out += len(stock_hidden - hidden)
        assert set(data.test.uid2positive_item[user].tolist()) == items_of(data, "test", user)
    assert held_out
    for user in data.valid.uid_list.tolist():
        assert torch.equal(data.valid.uid2history_item[user], stock.valid.uid2history_item[user])


def test_the_metrics_of_all_three_are_those_counted_by_hand_and_nothing_is_trained_for_them(settings, monkeypatch):
    keys = {**settings, "metric_decimal_place": 8, "eval_args": {"split": {"RS": [0.5, 0.3, 0.2]}}}
    stock = run_kd("SLD", config_dict=keys)
    trained = []
    train = training.train
    for user in ("experiment", "teacher.provider"):
        monkeypatch.setattr(
            f"recbole_kd.{user}.train", lambda config, *args, **how: trained.append(1) or train(config, *args, **how)
        )
    result = run_kd("SLD", config_dict={**keys, "eval_mask": "train", "resume": True})
    assert not trained
    data = split_of(keys)
    for name in ("teacher", "student_alone", "distilled"):
        assert result[name]["checkpoint"] == stock[name]["checkpoint"]
        weights = read_checkpoint(result[name]["checkpoint"])["state_dict"]
        scores = (weights["user_embedding.weight"] @ weights["item_embedding.weight"].T).numpy()
        stock_ndcg, masked_ndcg = (
            ndcg_by_hand(scores, data, "test", hidden) for hidden in (("train", "valid"), ("train",))
        )
        assert stock[name]["test_result"]["ndcg@10"] == pytest.approx(stock_ndcg, abs=1e-6)
        assert result[name]["test_result"]["ndcg@10"] == pytest.approx(masked_ndcg, abs=1e-6)
        assert stock_ndcg != masked_ndcg
        assert result[name]["valid_result"] == stock[name]["valid_result"]


def test_a_loaded_student_is_evaluated_under_the_mask_of_its_run(settings):
    keys = {**settings, "eval_mask": "train", "baseline": False}
    result = run_kd("SLD", config_dict=keys)["distilled"]
    config, model, dataset, *loaders = load_student(result["checkpoint"])
    data = Split(dataset, *loaders, pairs={}, tokens=(), fingerprint=None)
    assert evaluate(config, model, data)[1] == result["test_result"]


def test_a_comparison_measures_again_under_another_mask_and_a_key_at_its_default_changes_no_name(settings, workdir):
    shared = {
        key: value for key, value in settings.items() if key not in ("dataset", "checkpoint_dir", "show_progress")
    }
    content = {"datasets": ["toy"], "seeds": [1], "methods": ["SLD"], "folder": str(workdir / "compare")}
    plans = [plan_runs(make_plan({**content, "keys": {**shared, **more}})) for more in ({}, {"eval_mask": "all"})]
    masked = plan_runs(make_plan({**content, "keys": {**shared, "eval_mask": "train"}}))
    for stock, same, other in zip(*plans, masked, strict=True):
        assert stock.key == same.key != other.key
    config = make_config("SLD", config_dict=settings).final_config_dict
    assert "eval_mask" in config and "eval_mask" not in outcome_settings(config, ("eval_mask",))


def test_a_stock_teacher_that_was_evaluated_on_samples_may_teach_under_a_mask(settings, workdir):
    ours = ("dataset", "teacher", "resume_interval")
    teacher_keys = {key: value for key, value in settings.items() if key not in ours}
    teacher_keys["eval_args"] = {"mode": "uni20"}
    run_recbole(model="BPR", dataset="toy", config_dict={**teacher_keys, "checkpoint_dir": str(workdir / "stock")})
    file = next((workdir / "stock").glob("BPR-*.pth"))
    keys = {**settings, "teacher": {}, "teacher_path": str(file), "eval_mask": "train", "baseline": False}
    assert run_kd("SLD", config_dict=keys)["teacher"]["checkpoint"] == str(file)


@pytest.mark.parametrize(
    "keys",
    [
        {"eval_mask": "train", "eval_args": {"mode": "uni20"}},
        {"eval_mask": "valid"},
        {"teacher.eval_mask": "train"},
    ],
)
def test_what_cannot_be_masked_is_refused_before_anything_is_written(keys, settings, workdir):
    with pytest.raises(KDError, match="eval_mask"):
        run_kd("SLD", config_dict={**settings, **keys})
    assert not list(workdir.rglob("*.pth")) and not list(workdir.rglob("*.log"))
