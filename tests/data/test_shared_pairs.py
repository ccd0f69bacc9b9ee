"""Held-out pairs that are training pairs too: counted by hand, and said in log, table and result."""

import json
import logging

import numpy as np
import pytest
from recbole.config import Config as RecBoleConfig

from recbole_kd.compare.run import _warnings as run_warnings
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.shared_pairs import shared_pairs
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from recbole_kd.quick_start import objective_function, run_kd
from recbole_kd.report import result_table
from recbole_kd.teacher.leakage import check_teacher

HEAD = "user_id:token\titem_id:token\ttimestamp:float"


def write(folder, name, rows, head=HEAD):
    path = folder / name.partition(".")[0]
    path.mkdir(exist_ok=True)
    (path / f"{name}.inter").write_text("\n".join([head, *rows]) + "\n")


@pytest.fixture
def keys(workdir, monkeypatch):
    """Ten interactions of each of 30 users; of ``twice`` every second row stands twice."""
    monkeypatch.setattr("sys.argv", ["pytest"])
    draw = np.random.default_rng(0)
    rows = [f"u{u}\ti{i}\t{t}" for u in range(30) for t, i in enumerate(draw.choice(25, 10, replace=False))]
    write(workdir, "once", rows)
    write(workdir, "twice", [row for n, row in enumerate(rows) for _ in range(1 + n % 2)])
    write(workdir, "files.a", [row for n, row in enumerate(rows) if n % 10 < 8])
    write(workdir, "files.b", [row for n, row in enumerate(rows) if n % 10 == 8])
    write(workdir, "files.c", [row for n, row in enumerate(rows) if n % 10 in (7, 8, 9)])
    return {
        "data_path": str(workdir),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "epochs": 1,
        "embedding_size": 4,
        "show_progress": False,
        "state": "ERROR",
        "checkpoint_dir": str(workdir / "saved"),
    }


def split_of(dataset, keys, model="BPR", **more):
    config = RecBoleConfig(model, dataset, config_dict={**keys, **more})
    return config, prepare_split(config)


def by_hand(split):
    """The numbers of shared pairs, row by row."""
    parts = []
    for loader in (split.train, split.valid, split.test):
        feat = loader._dataset.inter_feat
        parts.append(set(zip(feat["user_id"].tolist(), feat["item_id"].tolist(), strict=True)))
    train, valid, test = parts
    return {
        "test_in_train": len(test & train),
        "valid_in_train": len(valid & train),
        "test_in_valid": len(test & valid),
    }


def numbers_of(found):
    return {name: value for name, value in found.items() if name != "warning"}


def test_parts_without_a_shared_pair_give_nothing(keys):
    assert shared_pairs(*split_of("once", keys)) is None


def test_rows_that_stand_twice_are_counted_and_rm_dup_inter_leaves_none(keys):
    config, split = split_of("twice", keys)
    found, expected = shared_pairs(config, split), by_hand(split)
    assert numbers_of(found) == expected and expected["test_in_train"] > 5 and expected["valid_in_train"] > 5
    total = len(split.pairs["test"])
    assert (
        f"{expected['test_in_train']} of the {total} test pairs of user and item are training pairs"
        in (found["warning"])
    )
    assert "rm_dup_inter: first" in found["warning"] and "benchmark" not in found["warning"]
    assert shared_pairs(*split_of("twice", keys, rm_dup_inter="first")) is None


def test_benchmark_files_that_overlap_are_counted_and_named(keys):
    config, split = split_of("files", keys, benchmark_filename=["a", "b", "c"])
    found = shared_pairs(config, split)
    assert numbers_of(found) == {"test_in_train": 30, "valid_in_train": 0, "test_in_valid": 30}
    assert "30 of the 90 test pairs" in found["warning"] and "benchmark_filename (a, b, c)" in found["warning"]
    assert "rm_dup_inter" not in found["warning"]  # RecBole does not filter such files


def test_items_of_a_history_count_as_training_pairs(keys, workdir):
    head = "user_id:token\titem_id_list:token_seq\titem_id:token"
    write(workdir, "lists.a", ["u0\ti1 i2\ti3", "u1\ti4\ti5"], head)
    write(workdir, "lists.b", ["u0\ti1 i2 i3\ti2", "u1\ti4 i5\ti6"], head)  # i2 was consumed before
    write(workdir, "lists.c", ["u0\ti1 i2 i3 i2\ti1", "u1\ti4 i5 i6\ti4"], head)  # i1 and i4 were
    more = {
        "load_col": {"inter": ["user_id", "item_id_list", "item_id"]},
        "alias_of_item_id": ["item_id_list"],
        "benchmark_filename": ["a", "b", "c"],
        "topk": [2],
    }
    found = shared_pairs(*split_of("lists", {**keys, **more}))
    assert numbers_of(found) == {"test_in_train": 2, "valid_in_train": 1, "test_in_valid": 0}


def test_a_sequence_model_is_told_of_repeat_consumption(keys):
    in_time = {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"}}
    more = {**in_time, "train_neg_sample_args": None, "MAX_ITEM_LIST_LENGTH": 5}
    config, split = split_of("twice", keys, "SASRec", **more)
    found = shared_pairs(config, split)
    assert found["test_in_train"] + found["test_in_valid"] > 0
    assert "pairs of user and item" in found["warning"]
    assert "where repeat consumption is to be predicted this is as it should be" in found["warning"]
    assert "learned by heart" not in found["warning"]


def test_log_table_and_result_of_a_run_have_the_warning_once(keys, workdir, caplog):
    user_keys = {**keys, "state": "WARNING", "teacher": {"embedding_size": 6}, "result_file": "r.json"}
    with caplog.at_level(logging.WARNING):
        result = run_kd("KD", "twice", config_dict=user_keys)
    expected = shared_pairs(*split_of("twice", keys))
    assert result["shared_pairs"] == expected == json.loads((workdir / "r.json").read_text())["shared_pairs"]
    assert result_table(result).count(expected["warning"]) == 1
    assert [record.getMessage() for record in caplog.records].count(expected["warning"]) == 1
    clean = run_kd("KD", "once", config_dict={**user_keys, "baseline": False})
    assert "shared_pairs" not in clean and "pairs of user and item" not in result_table(clean)


def test_a_comparison_and_a_search_say_it_too(keys, workdir, caplog):
    config = make_config("KD", "twice", config_dict={**keys, "teacher": {"embedding_size": 6}})
    split = prepare_split(plain_config(config))
    expected = shared_pairs(config, split)["warning"]
    assert run_warnings(config, split) == [expected]
    with caplog.at_level(logging.WARNING):
        objective_function({**keys, "model": "KD", "dataset": "twice", "state": "WARNING"}, saved=False)
    assert [record.getMessage() for record in caplog.records].count(expected) == 1


@pytest.mark.parametrize(
    "dataset, more, remedy",
    [("twice", {}, "rm_dup_inter: first"), ("files", {"benchmark_filename": ["a", "b", "c"]}, "benchmark_filename")],
)
def test_a_stock_teacher_of_the_same_split_is_refused_with_the_reason(keys, dataset, more, remedy):
    config, split = split_of(dataset, keys, **more)
    config.final_config_dict["teacher_check"] = "error"
    content = {"config": dict(config.final_config_dict)}  # as stock RecBole leaves it: without a fingerprint
    with pytest.raises(KDError) as caught:
        check_teacher(content, config, split, "t.pth")
    shared = by_hand(split)
    assert f"was trained on {shared['test_in_train']} of this run's" in str(caught.value)
    assert f"{sum(shared.values())} held-out pairs stand in two parts of this run's own split" in str(caught.value)
    assert remedy in str(caught.value)
