"""The examples run, on the small data of the tests."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def keys(settings):
    return {**{key: value for key, value in settings.items() if key not in ("model", "dataset")}, "epochs": 2}


def main_of(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]


def test_quick_start_lists_items_for_users(keys, capsys):
    table = main_of("quick_start")(method="SLD", dataset="toy", users=2, **keys)
    assert len(table) == 2 * 5 and table.iloc[:, 0].nunique() == 2
    assert "distilled" in capsys.readouterr().out


def test_own_teacher_is_the_model_that_recbole_trained(keys):
    result = main_of("own_teacher")(dataset="toy", **keys)
    assert "LightGCN-" in result["teacher"]["checkpoint"] and result["distilled"]["parameters"] == 152 * 10


def test_sequential_distils_a_gru(keys):
    data = {"load_col": {"inter": ["user_id", "item_id", "timestamp"]}, "train_batch_size": 256}
    split = {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"}}
    result = main_of("sequential")(dataset="toy_seq", **{**keys, **data, **split})
    assert result["distilled"]["method"] == "RRD" and "GRU4Rec" in result["distilled"]["checkpoint"]
