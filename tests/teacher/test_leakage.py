"""Whether a given teacher may teach: one of the same split may, one that knows held-out pairs may not."""

import json
import logging
import math
import random
import re
import shutil

import numpy as np
import pytest
import torch
from recbole.config import Config as RecBoleConfig
from recbole.data import create_dataset, data_preparation
from recbole.trainer import Trainer
from recbole.utils import get_model, init_seed

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from recbole_kd.io import torch_bytes
from recbole_kd.quick_start import run_kd
from recbole_kd.report import result_table
from recbole_kd.teacher import leakage
from recbole_kd.teacher.leakage import _rebuild_split
from recbole_kd.teacher.provider import provide_teachers
from recbole_kd.trainer import training

USERS, ITEMS, EACH = 30, 40, 20
PARTS = ["one", "two", "three"]


def ratio(*shares, order="RO"):
    return {"split": {"RS": list(shares)}, "order": order, "group_by": "user", "mode": "full"}


# RecBole drops the interactions of items that the loaded item file does not hold
FEATURES = {"load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "kind"]}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Datasets ``here`` and ``there``: twenty interactions a user, some items rarer than others, also cut in parts."""
    path, draw = tmp_path_factory.mktemp("guard"), np.random.default_rng(0)
    chance = np.linspace(1, 4, ITEMS)
    for name in ("here", "there"):
        head, rows = "user_id:token\titem_id:token\ttimestamp:float", []
        for user in range(USERS):
            chosen = draw.choice(ITEMS, EACH, replace=False, p=chance / chance.sum())
            # a late end for the last users: a filter may drop it without touching the vocabulary
            when = np.arange(EACH) + (1000 * (np.arange(EACH) >= 14) if user >= 20 else 0)
            rows += [f"u{user}\ti{item}\t{then}" for then, item in zip(when, chosen, strict=True)]
        (path / name).mkdir()
        (path / name / f"{name}.inter").write_text("\n".join([head, *rows]) + "\n")
        # the features of all items but one, and of one that nobody has met
        known = "\n".join(f"i{item}\t{item % 3}" for item in range(1, ITEMS + 1))
        (path / name / f"{name}.item").write_text(f"item_id:token\tkind:token\n{known}\n")
        cuts = {"one": slice(0, 16), "two": slice(16, 18), "three": slice(18, 20)}
        cuts = {
            part: [row for at in range(0, len(rows), EACH) for row in rows[at : at + EACH][cut]]
            for part, cut in cuts.items()
        }
        for part, rows in {**cuts, "more": cuts["one"] + cuts["three"]}.items():
            (path / name / f"{name}.{part}.inter").write_text("\n".join([head, *rows]) + "\n")
    return path


@pytest.fixture
def keys(folder, workdir, monkeypatch):
    """What teacher and student are given alike."""
    monkeypatch.setattr("sys.argv", ["pytest"])  # RecBole's Config takes whatever stands there for keys
    return {
        "data_path": str(folder),
        "epochs": 1,
        "show_progress": False,
        "state": "ERROR",
        "embedding_size": 4,
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "checkpoint_dir": str(workdir / "saved"),
    }


@pytest.fixture
def stock(keys, workdir):
    """A function that lets plain RecBole write a checkpoint with the given keys; returns the file."""

    def write(dataset="here", model="BPR", **more):
        config = RecBoleConfig(model, dataset, config_dict={**keys, **more})
        init_seed(config["seed"], config["reproducibility"])
        trained_on = data_preparation(config, create_dataset(config))[0]._dataset
        trainer = Trainer(config, get_model(model)(config, trained_on))
        trainer._save_checkpoint(0, verbose=False, saved_model_file=str(workdir / "teacher.pth"))
        return str(workdir / "teacher.pth")

    return write


@pytest.fixture
def ask(keys):
    """A function from a teacher's file to the teacher that a run of some keys gets."""

    def teacher(file, **more):
        config = make_config("NKD", "here", config_dict={**keys, **more, "teacher_path": file})
        return provide_teachers(config, prepare_split(plain_config(config)))[0]

    return teacher


@pytest.fixture
def refusal(ask):
    def sentence(file, **more):
        with pytest.raises(KDError) as caught:
            ask(file, **more)
        assert str(caught.value).isprintable() and file in str(caught.value)
        return str(caught.value)

    return sentence


def pairs_by_hand(keys, part, **more):
    """The (user, item) tokens of one part of the split that plain RecBole makes, row by row."""
    config = RecBoleConfig("BPR", "here", config_dict={**keys, **more})
    init_seed(config["seed"], config["reproducibility"])
    dataset = data_preparation(config, create_dataset(config))[("train", "valid", "test").index(part)]._dataset
    rows = zip(dataset.inter_feat["user_id"].tolist(), dataset.inter_feat["item_id"].tolist(), strict=True)
    return {(dataset.id2token("user_id", user), dataset.id2token("item_id", item)) for user, item in rows}


def test_a_stock_teacher_of_the_same_seed_is_accepted(stock, ask):
    file = stock()
    teacher = ask(file)
    weights = read_checkpoint(file)["state_dict"]
    assert teacher.file == file and not teacher.model.training
    assert all(torch.equal(weight, weights[name]) for name, weight in teacher.model.state_dict().items())


@pytest.mark.parametrize("run_seed, teacher_seed", [(2020, 7), (7, 2020), (11, 12)])
def test_a_teacher_of_another_seed_is_refused_with_the_number_of_test_pairs_that_it_knows(
    stock, refusal, keys, run_seed, teacher_seed
):
    sentence = refusal(stock(seed=teacher_seed), seed=run_seed)
    test, train = pairs_by_hand(keys, "test", seed=run_seed), pairs_by_hand(keys, "train", seed=teacher_seed)
    assert len(test) == USERS * 2 and 0 < len(test & train) < len(test)
    assert f"was trained on {len(test & train)} of this run's {len(test)} test pairs" in sentence
    assert f"seed {teacher_seed}, here {run_seed}" in sentence


def test_a_teacher_that_knows_validation_pairs_only_is_refused(stock, refusal, keys):
    larger = {"eval_args": ratio(0.9, 0.05, 0.05)}
    sentence = refusal(stock(**larger))
    train = pairs_by_hand(keys, "train", **larger)
    assert not train & pairs_by_hand(keys, "test")
    seen = len(train & pairs_by_hand(keys, "valid"))
    assert seen and f"was trained on {seen} of this run's {USERS * 2} validation pairs" in sentence
    assert "eval_args" in sentence and "0.05" in sentence


def test_a_teacher_that_was_chosen_on_test_pairs_is_refused(stock, refusal, keys):
    run_keys, teacher_keys = {"eval_args": ratio(0.7, 0.1, 0.2)}, {"eval_args": ratio(0.7, 0.25, 0.05)}
    sentence = refusal(stock(**teacher_keys), **run_keys)
    test, valid = pairs_by_hand(keys, "test", **run_keys), pairs_by_hand(keys, "valid", **teacher_keys)
    assert not test & pairs_by_hand(keys, "train", **teacher_keys)
    assert (
        test & valid and f"by early stopping, on {len(test & valid)} of this run's {len(test)} test pairs" in sentence
    )


def test_a_teacher_of_another_split_ratio_is_refused(stock, refusal, keys):
    run_keys, teacher_keys = {"eval_args": ratio(0.5, 0.1, 0.4)}, {"eval_args": ratio(0.8, 0.1, 0.1)}
    sentence = refusal(stock(**teacher_keys), **run_keys)
    test, train = pairs_by_hand(keys, "test", **run_keys), pairs_by_hand(keys, "train", **teacher_keys)
    assert test & train and f"was trained on {len(test & train)} of this run's {len(test)} test pairs" in sentence


def test_a_teacher_of_another_dataset_is_refused(stock, refusal):
    assert "was trained on the dataset 'there', here it is 'here'" in refusal(stock("there"))


@pytest.mark.parametrize(
    "key, value", [("user_inter_num_interval", "[5,inf)"), ("val_interval", {"timestamp": "[0,5000]"})]
)
def test_a_teacher_of_another_filter_is_refused_even_where_it_drops_nothing(stock, refusal, key, value):
    filtered = {key: value}
    for teacher_keys, run_keys in ((filtered, {}), ({}, filtered)):
        sentence = refusal(stock(**teacher_keys), **run_keys)
        assert "was trained under another filter" in sentence and key in sentence and str(value) in sentence


def test_a_teacher_of_a_filter_that_drops_interactions_is_refused(stock, refusal, keys):
    filtered = {"val_interval": {"timestamp": "[0,100]"}}
    sentence = refusal(stock(**filtered))
    seen = len(pairs_by_hand(keys, "train", **filtered) & pairs_by_hand(keys, "test"))
    assert seen and f"was trained on {seen} of this run's {USERS * 2} test pairs" in sentence
    assert "val_interval" in sentence


def test_a_teacher_of_another_vocabulary_is_refused(stock, refusal):
    sentence = refusal(stock(item_inter_num_interval="[10,inf)"))
    counts = [int(number) for number in re.findall(r"\d+", sentence.partition("vocabulary: ")[2])[:4]]
    assert counts[0] == counts[2] == USERS and counts[1] < counts[3] == ITEMS
    assert "item_inter_num_interval [10,inf), here [0,inf)" in sentence


def test_a_teacher_with_item_features_has_another_vocabulary(stock, refusal, ask):
    assert "another vocabulary" in refusal(stock(**FEATURES))  # of the same size, so that its weights would fit
    assert ask(stock(**FEATURES), **FEATURES)


def test_the_same_tokens_in_another_order_are_another_vocabulary(stock, refusal):
    assert "another vocabulary: the same size" in refusal(stock(benchmark_filename=PARTS))


def test_the_same_filter_written_in_another_way_is_no_difference(stock, ask):
    assert ask(stock(user_inter_num_interval="[0, inf)"), user_inter_num_interval="[0,inf)")
    assert ask(stock(user_inter_num_interval="[0,inf)"))


def test_a_split_by_time_has_no_seed(stock, ask):
    in_time = {"eval_args": ratio(0.8, 0.1, 0.1, order="TO")}
    assert ask(stock(seed=7, **in_time), **in_time)


def test_a_split_in_files_has_no_seed_and_no_filter(stock, ask):
    files = {"benchmark_filename": PARTS}
    assert ask(stock(seed=7, **files), **files)
    assert ask(stock(val_interval={"timestamp": "[0,100]"}, **files), **files)


def test_other_files_are_another_split(stock, refusal):
    sentence = refusal(stock(benchmark_filename=["more", "two", "three"]), benchmark_filename=PARTS)
    assert f"was trained on {USERS * 2} of this run's {USERS * 2} test pairs" in sentence
    assert "benchmark_filename ['more', 'two', 'three'], here ['one', 'two', 'three']" in sentence


def test_another_way_to_evaluate_is_no_difference(stock, ask, refusal):
    few = {**ratio(0.8, 0.1, 0.1), "mode": "uni5"}
    assert ask(stock(eval_args=few))
    assert "eval_args" not in refusal(stock(eval_args=few, seed=7))


def test_a_teacher_that_was_evaluated_by_values_is_compared_by_its_pairs(stock, ask, refusal):
    labeled = {"eval_args": {**ratio(0.8, 0.1, 0.1), "mode": "labeled"}, "metrics": ["AUC"], "valid_metric": "AUC"}
    assert ask(stock(model="NeuMF", **labeled))
    assert "test pairs" in refusal(stock(model="NeuMF", seed=7, **labeled))


def test_a_teacher_of_another_family_is_compared_by_its_pairs(stock, ask, refusal):
    assert type(ask(stock(model="MultiVAE")).model).__name__ == "MultiVAE"
    assert "test pairs" in refusal(stock(model="MultiVAE", seed=7))


def test_warn_takes_the_teacher_and_says_what_is_wrong(stock, ask, caplog):
    file = stock(seed=7)
    with caplog.at_level(logging.WARNING):
        accepted = ask(file, teacher_check="warn")
    assert accepted.file == file and "test pairs" in accepted.warning and ask(stock()).warning is None
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("test pairs" in line and "seed 7, here 2020" in line for line in warnings)


def test_the_result_and_the_table_say_that_the_teacher_has_seen_test_pairs(stock, keys, workdir):
    user_keys = {**keys, "teacher_path": stock(seed=7), "teacher_check": "warn", "result_file": "r.json"}
    user_keys = {key: value for key, value in user_keys.items() if key != "embedding_size"}
    result = run_kd("KD", "here", config_dict=user_keys)
    line = result_table(result).splitlines()[-1]
    assert re.search(r"teacher\.pth' is taken although it was trained on [\d,]+ of this run's [\d,]+ test pairs", line)
    assert json.loads((workdir / "r.json").read_text())["teacher"]["warning"] == line
    assert "warning" not in run_kd("KD", "here", config_dict={**user_keys, "teacher_path": stock()})["teacher"]


def test_another_dataset_and_tables_of_another_size_are_no_case_for_a_warning(stock, refusal):
    assert "teacher_check=warn" in refusal(stock(seed=7))
    fewer = {"item_inter_num_interval": "[9,inf)"}
    for stock_keys, words in (({"dataset": "there"}, "dataset 'there'"), (fewer, "items, here")):
        file = stock(**stock_keys)
        for check in ("error", "warn"):
            sentence = refusal(file, teacher_check=check)
            assert words in sentence and "teacher_check" not in sentence


def test_teachers_of_the_same_settings_are_refused_before_one_is_trained(keys, workdir):
    teachers = [{"model": "BPR"}, {"model": "EASE"}, {"model": "BPR", "embedding_size": 40}]  # ten times 4
    with pytest.raises(KDError, match=r"teachers 1 and 3, BPR .*, have the same settings"):
        run_kd("RRD", "here", config_dict={**keys, "teachers": teachers})
    assert not list(workdir.rglob("*.pth"))


@pytest.fixture
def counted(monkeypatch):
    """How often the guard makes the teacher's split again."""
    calls = []
    again = _rebuild_split
    monkeypatch.setattr(leakage, "_rebuild_split", lambda *given: calls.append(given) or again(*given))
    return calls


def test_a_checkpoint_of_this_package_and_split_needs_no_second_split(keys, ask, stock, counted, workdir):
    training.train(RecBoleConfig("BPR", "here", config_dict=keys), workdir / "own.pth")
    assert ask(str(workdir / "own.pth")) and counted == []
    assert ask(stock()) and len(counted) == 1


def test_a_checkpoint_of_this_package_and_another_split_is_refused(keys, refusal, workdir):
    training.train(RecBoleConfig("BPR", "here", config_dict={**keys, "seed": 7}), workdir / "own.pth")
    assert "test pairs" in refusal(str(workdir / "own.pth"))


def forged(file, **changes):
    """The checkpoint with other top-level entries, or with other keys in its config."""
    content = torch.load(file, weights_only=False)
    content["config"].final_config_dict.update(changes.pop("config", {}))
    with open(file, "wb") as stream:
        stream.write(torch_bytes({**content, **changes}))
    return file


NAMES = ("vocabulary", "train", "valid", "test")


@pytest.mark.parametrize(
    "odd",
    [None, 3, "x", b"x", [], [1, 2], list(NAMES), set(NAMES), torch.arange(4), np.arange(4)],
    ids=lambda odd: type(odd).__name__,
)
def test_a_fingerprint_that_is_none_counts_for_nothing(stock, ask, refusal, counted, odd):
    assert ask(forged(stock(), fingerprint=odd))
    assert len(counted) == 1
    assert "test pairs" in refusal(forged(stock(seed=7), fingerprint=odd))


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"train": 1},
        {1: 2, 3: 4, 5: 6, 7: 8},
        dict.fromkeys(NAMES),
        dict.fromkeys(NAMES, 0.5),
        dict.fromkeys(NAMES, torch.arange(3)),
        dict.fromkeys(NAMES, np.arange(3)),
        {name: [{}] for name in NAMES},
        dict.fromkeys((*NAMES, "more"), "x"),
    ],
)
def test_a_fingerprint_of_another_split_than_the_settings_make_is_refused(stock, refusal, odd):
    assert "files are not those" in refusal(forged(stock(), fingerprint=odd))


def test_a_checkpoint_of_this_package_is_refused_after_the_dataset_changed(keys, folder, refusal, workdir):
    shutil.copytree(folder / "here", workdir / "here")
    settings = {**keys, "data_path": str(workdir)}
    training.train(RecBoleConfig("BPR", "here", config_dict=settings), workdir / "own.pth")
    file = workdir / "here" / "here.inter"
    file.write_text(file.read_text().rpartition("u29")[0])
    assert "files are not those" in refusal(str(workdir / "own.pth"), data_path=str(workdir))


@pytest.mark.parametrize(
    "odd",
    [
        {"seed": None},
        {"seed": "seven"},
        {"seed": torch.tensor([1, 2])},
        {"seed": np.arange(2)},
        {"seed": -1},
        {"eval_args": 5},
        {"eval_args": None},
        {"eval_args": {"split": {"RS": "x"}}},
        {"eval_args": {"split": {"XX": 1}}},
        {"val_interval": 3},
        {"val_interval": {"timestamp": "x"}},
        {"val_interval": {"rating": "[0,1]"}},
        {"benchmark_filename": ["no", "such", "file"]},
        {"benchmark_filename": 4},
        {"user_inter_num_interval": "[x,y)"},
        {"user_inter_num_interval": "[999,inf)"},
        {"threshold": 5},
        {"MODEL_TYPE": "x"},
        {"train_neg_sample_args": 1},
        {"dataset": None},
    ],
    ids=str,
)
def test_settings_that_cannot_be_compared_end_in_a_sentence(stock, refusal, odd):
    refusal(forged(stock(), config=odd))


@pytest.mark.parametrize("model", ["Foreign", "os", "", "bpr", "MKD"])
def test_a_model_that_recbole_does_not_bring_ends_in_a_sentence(stock, refusal, model):
    assert repr(model) in refusal(forged(stock(), config={"model": model}))


@pytest.mark.parametrize("model, keys_given", [("CFKG", {"embedding_size": 4}), ("KD_DAGFM", {}), ("SASRec", {})])
def test_a_teacher_of_a_family_that_cannot_teach_ends_in_a_sentence(stock, ask, model, keys_given):
    with pytest.raises(KDError, match=model):
        ask(forged(stock(), config={"model": model, **keys_given}))


def streams():
    return random.getstate(), tuple(map(str, np.random.get_state())), torch.get_rng_state().tolist()


@pytest.mark.parametrize("given", [True, False])
def test_the_global_random_streams_are_left_where_they_were(stock, keys, given):
    path = {"teacher_path": stock()} if given else {}
    config = make_config("NKD", "here", config_dict={**keys, **path})
    data = prepare_split(plain_config(config))
    random.random(), np.random.rand(), torch.rand(1)
    before = streams()
    provide_teachers(config, data)
    assert streams() == before


def test_the_streams_are_left_alone_by_a_refusal_too(stock, keys):
    config = make_config("NKD", "here", config_dict={**keys, "teacher_path": stock(seed=7)})
    data = prepare_split(plain_config(config))
    before = streams()
    with pytest.raises(KDError):
        provide_teachers(config, data)
    assert streams() == before


def test_this_run_s_config_is_left_as_it_was(stock, keys):
    config = make_config("NKD", "here", config_dict={**keys, "teacher_path": stock(seed=7), "teacher_check": "warn"})
    data = prepare_split(plain_config(config))
    before = {name: str(value) for name, value in vars(config).items()}
    provide_teachers(config, data)
    assert {name: str(value) for name, value in vars(config).items()} == before


@pytest.mark.parametrize("weight", [math.nan, math.inf])
@pytest.mark.parametrize("place", [("user_embedding.weight", 2), ("item_embedding.weight", -1)])
def test_a_teacher_whose_weights_are_not_finite_is_refused_before_anything_is_trained(settings, workdir, weight, place):
    name, row = place
    file = run_kd("SLD", config_dict=settings)["teacher"]["checkpoint"]
    content = torch.load(file, weights_only=False)
    content["state_dict"][name][row, 1] = weight
    torch.save(content, "broken.pth")
    before = sorted((workdir / "saved").rglob("*.pth"))
    keys = {key: value for key, value in settings.items() if key != "teacher"}
    with pytest.raises(KDError, match=f"'broken.pth' are not all finite numbers, those of {name} for one"):
        run_kd("SLD", config_dict={**keys, "teacher_path": "broken.pth"})
    assert sorted((workdir / "saved").rglob("*.pth")) == before


@pytest.mark.parametrize("key, value", [("val_interval", {"rating": "[3,inf)"}), ("threshold", {"rating": 3})])
def test_a_filter_by_a_column_that_is_not_read_says_how_it_is(settings, key, value):
    with pytest.raises(KDError, match=rf"{key} asks for the column 'rating', .*load_col: .*user_id, item_id, rating"):
        run_kd("SLD", config_dict={**settings, key: value})
    read = {**settings, "load_col": None, "val_interval": {"timestamp": "[0,8]"}}
    assert len(prepare_split(plain_config(make_config("SLD", config_dict=read))).pairs["train"])
