"""A training that starts from the weights of an earlier one, on data that grew."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from recbole_kd import load_student, recommend, run_kd
from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.errors import KDError
from recbole_kd.experiment import Experiment, make_config
from recbole_kd.report import result_table
from recbole_kd.serving import Recommender, export
from recbole_kd.trainer.cache_key import outcome_settings
from recbole_kd.trainer.warm_start import RowMap, grown_maps, matched_state

NAMES = ("user_embedding.weight", "item_embedding.weight")


@pytest.fixture
def keys(settings, workdir):
    """Settings over a copy of the toy data, which a test may change."""
    shutil.copytree(f"{settings['data_path']}/toy", workdir / "old" / "toy")
    shutil.copytree(f"{settings['data_path']}/toy", workdir / "data" / "toy")
    return {**settings, "data_path": str(workdir / "data"), "baseline": False, "learning_rate": 0.0, "epochs": 1}


@pytest.fixture
def first(keys):
    """The checkpoint of a student on the toy data."""
    return run_kd("KD", config_dict={**keys, "learning_rate": 0.01})["distilled"]["checkpoint"]


def append(workdir, lines):
    file = workdir / "data" / "toy" / "toy.inter"
    file.write_text(file.read_text() + "".join(f"{user}\t{item}\t99\n" for user, item in lines))


def rows(checkpoint, data_path):
    """The rows of a checkpoint's tables by token."""
    _, model, dataset, *_ = load_student(str(checkpoint), str(data_path))
    tables = []
    for name, field in zip(NAMES, (dataset.uid_field, dataset.iid_field), strict=True):
        weights = model.state_dict()[name].numpy()
        tables.append(dict(zip(dataset.field2id_token[field][1:].tolist(), weights[1:], strict=True)))
    return tables


GROWN = [
    ("new1", "i3"),
    ("new1", "fresh"),
    ("new2", "i4"),
    ("u5", "fresh"),
    ("new2", "i3"),
    ("new1", "i9"),
    ("u6", "fresh"),
]


def test_rows_are_matched_by_token_where_rows_were_appended(keys, first, workdir, caplog):
    earlier = rows(first, workdir / "old")
    append(workdir, GROWN)
    with caplog.at_level(logging.INFO):
        result = run_kd("KD", config_dict={**keys, "init_from": first, "state": "INFO"})
    for table, old, n_new in zip(
        rows(result["distilled"]["checkpoint"], workdir / "data"), earlier, (2, 1), strict=True
    ):
        assert len(table) == len(old) + n_new
        for token, row in old.items():
            np.testing.assert_array_equal(table[token], row)
        assert all(np.abs(table[token]).max() > 0 for token in set(table) - set(old))
    entry = result["warm_start"]
    assert (entry["new_users"], entry["new_items"]) == (2, 1)
    assert entry["rows"].startswith("60 of 62 users and ")
    assert "; 2 users and 1 items are new" in caplog.text
    assert "files are not those that it was trained on" in entry["warning"]
    assert entry["warning"] in result_table(result)


def test_rows_are_matched_by_token_where_the_order_changed(keys, first, workdir):
    earlier = rows(first, workdir / "old")
    file = workdir / "data" / "toy" / "toy.inter"
    head, *lines = file.read_text().splitlines()
    kept = [line for line in reversed(lines) if not line.startswith("u7\t")]
    file.write_text("\n".join([head, "another\ti1\t5", "another\ti2\t6", *kept]) + "\n")
    with pytest.raises(KDError, match=r"does not say which of its rows.*init_data_path"):
        run_kd("KD", config_dict={**keys, "init_from": first})
    given = {"init_from": first, "init_data_path": str(workdir / "old")}
    result = run_kd("KD", config_dict={**keys, **given})
    users, items = rows(result["distilled"]["checkpoint"], workdir / "data")
    assert set(users) == set(earlier[0]) - {"u7"} | {"another"}
    for table, old in zip((users, items), earlier, strict=True):
        for token in set(table) & set(old):
            np.testing.assert_array_equal(table[token], old[token])
    assert "pairs and" in result["warm_start"]["warning"]


def test_held_out_pairs_that_the_file_was_trained_on_are_counted(keys, first, workdir):
    config = make_config(
        "KD", config_dict={**keys, "init_from": first, "init_data_path": str(workdir / "old"), "seed": 3}
    )
    with Experiment.open(config) as experiment:
        result = experiment.run()
        held_out, trained = experiment.split.pairs["test"], experiment.split.pairs["train"]
    with Experiment.open(make_config("KD", config_dict=keys)) as other:
        seen, tested = other.split.pairs["train"], other.split.pairs["test"]
    count = len(np.intersect1d(held_out, seen))
    assert f"was trained on {count:,} of this run's {len(held_out):,} test pairs" in result["warm_start"]["warning"]
    count = len(np.intersect1d(tested, trained))
    assert f"was tested on {count:,} pairs that are training pairs of this run" in result["warm_start"]["warning"]


def test_the_same_data_and_split_give_no_warning(keys, first):
    result = run_kd("KD", config_dict={**keys, "init_from": first})
    assert "warning" not in result["warm_start"]
    weights = read_checkpoint(result["distilled"]["checkpoint"])["state_dict"]
    for name, weight in read_checkpoint(first)["state_dict"].items():
        torch.testing.assert_close(weights[name], weight, rtol=0, atol=0)


def test_a_student_is_loaded_and_teaches_when_the_file_is_gone(keys, first):
    file = run_kd("KD", config_dict={**keys, "init_from": first})["distilled"]["checkpoint"]
    Path(first).unlink()
    assert load_student(file)[0]["init_from"] == first
    more = {"teacher_path": file, "teacher": {}, "embedding_size": 2}
    assert run_kd("KD", config_dict={**keys, **more})["teacher"]["checkpoint"] == file


def test_the_student_alone_starts_there_too_and_the_teacher_does_not(keys, first):
    result = run_kd("KD", config_dict={**keys, "init_from": first, "baseline": True, "teacher.learning_rate": 0.0})
    weights = read_checkpoint(first)["state_dict"]
    alone = read_checkpoint(result["student_alone"]["checkpoint"])["state_dict"]
    torch.testing.assert_close(alone[NAMES[0]], weights[NAMES[0]], rtol=0, atol=0)
    assert read_checkpoint(result["teacher"]["checkpoint"])["state_dict"][NAMES[0]].shape[1] == 12


def test_a_file_of_other_weights_names_another_training(keys, first, workdir):
    settings = make_config("KD", config_dict={**keys, "init_from": first}).final_config_dict
    before = outcome_settings(settings)
    assert "init_from" in before and "init_data_path" not in before
    shutil.copy(first, workdir / "copy.pth")
    assert outcome_settings({**settings, "init_from": str(workdir / "copy.pth")}) == before
    Path(workdir / "copy.pth").write_bytes(b"other")
    assert outcome_settings({**settings, "init_from": str(workdir / "copy.pth")}) != before
    assert "init_from" not in outcome_settings(make_config("KD", config_dict=keys).final_config_dict)


REFUSALS = [
    ({"embedding_size": 8}, r"shape \[61, 4\] .* and \[61, 8\] here.*take the same model with the same sizes"),
    ({"student_model": "LightGCN"}, "holds a BPR, and here a LightGCN is trained"),
    ({"init_from": "none.pth"}, "the checkpoint 'none.pth' is not there"),
    ({"init_data_path": "nowhere"}, "init_data_path='nowhere' holds no data"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "message"), REFUSALS)
def test_refused_before_any_training(more, message, keys, first, workdir):
    with pytest.raises(KDError, match=message):
        run_kd("KD", config_dict={**keys, "init_from": first, "checkpoint_dir": "never", **more})
    assert not list(workdir.glob("never/**/*.pth"))


def test_load_student_says_how_many_rows_are_new(keys, first, workdir, caplog):
    assert load_student(first, str(workdir / "data"))[0]["new_rows"] is None
    append(workdir, GROWN)
    with caplog.at_level(logging.WARNING):
        config, model, dataset, *_ = load_student(first, str(workdir / "data"))
    assert config["new_rows"] == {"users": 2, "items": 1}
    assert "2 users and 1 items are new, with random rows" in caplog.text
    assert config["changed_data"]
    assert len(model.user_embedding.weight) == dataset.user_num == 63


def test_users_and_items_without_a_trained_row_are_not_recommended(keys, first, workdir):
    append(workdir, GROWN)
    model = Recommender(first, str(workdir / "data"))
    table = recommend(model, None, 5)
    assert table["user"].nunique() == 60
    assert not set(recommend(model, ["u1"], len(model.items) - 1, exclude="none")["item"]) & {"fresh"}
    with pytest.raises(KDError, match=r"'new1' came after the training.*--history"):
        recommend(model, ["u1", "new1"], 2)
    assert set(recommend(model, ["u1", "new1"], 2, skip_unknown=True)["user"]) == {"u1"}
    with pytest.raises(KDError, match="no item to recommend that the model was trained on"):
        recommend(model, ["u1"], 1, allow=["fresh"])
    with pytest.raises(KDError, match="came after the training"):
        export(model, workdir / "bundle")


@pytest.mark.parametrize("family", ["sequence", "autoencoder"])
def test_other_families_are_matched_too(family, settings, workdir):
    name = {"sequence": "toy_seq", "autoencoder": "toy"}[family]
    more = {
        "sequence": {"student_model": "SASRec", "hidden_size": 8, "inner_size": 8, "n_layers": 1, "n_heads": 1,
                     "MAX_ITEM_LIST_LENGTH": 6, "train_neg_sample_args": None, "teacher_model": "EASE"},
        "autoencoder": {"student_model": "MultiVAE", "mlp_hidden_size": [8], "latent_dimension": 4,
                        "train_neg_sample_args": None, "teacher_model": "EASE"},
    }[family]  # fmt: skip
    shutil.copytree(f"{settings['data_path']}/{name}", workdir / "data" / name)
    keys = {key: value for key, value in settings.items() if key not in ("teacher", "embedding_size")}
    keys |= {"dataset": name, "data_path": str(workdir / "data"), "baseline": False, "epochs": 1, **more}
    first = run_kd("KD", config_dict=keys)["distilled"]["checkpoint"]
    file = workdir / "data" / name / f"{name}.inter"
    row = file.read_text().splitlines()[-1].split("\t")[2:]
    file.write_text(file.read_text() + "".join("\t".join([user, item, *row]) + "\n" for user, item in GROWN))
    result = run_kd("KD", config_dict={**keys, "init_from": first, "learning_rate": 0.0})
    assert (result["warm_start"]["new_users"], result["warm_start"]["new_items"]) == (2, 1)
    before, after = (read_checkpoint(path)["state_dict"] for path in (first, result["distilled"]["checkpoint"]))
    for weight, old in ((after[key], old) for key, old in before.items()):
        torch.testing.assert_close(weight[tuple(slice(size) for size in old.shape)], old, rtol=0, atol=0)


def test_a_vocabulary_is_recognised_by_its_beginning_alone(keys, first, workdir):
    content = read_checkpoint(first)
    tokens = [np.array(side, dtype=str) for side in _tokens(first, workdir / "old")]
    longer = [np.append(side, ["x", "y"]) for side in tokens]
    assert [rowmap.new for rowmap in grown_maps(content, longer)] == [2, 2]
    assert [rowmap.new for rowmap in grown_maps(content, tokens)] == [0, 0]
    assert grown_maps(content, [side[:-1] for side in tokens]) is None
    assert grown_maps(content, [np.append(["x"], side) for side in tokens]) is None
    assert grown_maps({**content, "fingerprint": None}, longer) is None


def _tokens(checkpoint, data_path):
    _, _, dataset, *_ = load_student(str(checkpoint), str(data_path))
    return [dataset.field2id_token[field] for field in (dataset.uid_field, dataset.iid_field)]


def test_rows_by_hand():
    users = RowMap("user", 3, np.array([0, 2, -1]))
    items = RowMap("item", 4, np.array([0, 3, 1, 2, -1]))
    earlier = {"user": torch.tensor([[0.0], [1.0], [2.0]]), "item": torch.arange(4.0), "mask": torch.arange(5.0)}
    earlier |= {"item_item": torch.arange(16.0).reshape(4, 4), "scale": torch.tensor(7.0), "bias": torch.ones(2)}
    current = {"user": torch.full((3, 1), 9.0), "item": torch.full((5,), 9.0), "mask": torch.full((6,), 9.0)}
    current |= {"item_item": torch.full((5, 5), 9.0), "scale": torch.tensor(0.0), "bias": torch.zeros(2)}
    state = matched_state(earlier, current, [users, items], "a.pth")
    assert state["user"].tolist() == [[0], [2], [9]]
    assert state["item"].tolist() == [0, 3, 1, 2, 9]
    assert state["mask"].tolist() == [0, 3, 1, 2, 9, 4]  # a row behind the items, as BERT4Rec's
    assert state["item_item"][1].tolist() == [12, 15, 13, 14, 9]
    assert state["item_item"][4].tolist() == [9] * 5
    assert (state["scale"].item(), state["bias"].tolist()) == (7, [1, 1])
    assert current["item"].tolist() == [9] * 5
    with pytest.raises(KDError, match="weight bias has the shape"):
        matched_state(earlier, {**current, "bias": torch.zeros(8)}, [users, items], "a.pth")
    with pytest.raises(KDError, match="bias is in one of them alone"):
        matched_state({name: w for name, w in earlier.items() if name != "bias"}, current, [users, items], "a.pth")


def test_the_result_is_json(keys, first, workdir):
    run_kd("KD", config_dict={**keys, "init_from": first, "result_file": str(workdir / "r.json")})
    assert json.loads((workdir / "r.json").read_text())["warm_start"]["new_users"] == 0
