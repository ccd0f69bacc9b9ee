"""The main job from Python: the table's content, what is reused, what is handled."""

import importlib.machinery
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from recbole.quick_start import load_data_and_model, run_recbole
from recbole.utils import ModelType, get_model, get_trainer
from recbole.utils.case_study import full_sort_scores, full_sort_topk

import recbole_kd
from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.cli import main
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.fingerprint import sha256_of
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError, NonFiniteLoss, TrainingFailed
from recbole_kd.experiment import make_config
from recbole_kd.quick_start import load_student, objective_function, run_kd
from recbole_kd.testing import same_weights
from recbole_kd.trainer import training
from recbole_kd.trainer.cache_key import run_key
from recbole_kd.trainer.kd_trainer import KDTrainer

ROW = {"test_result", "valid_result", "parameters", "bytes", "ms_per_user", "checkpoint"}


@pytest.fixture
def result(settings, workdir):
    return run_kd("MKD", config_dict={**settings, "result_file": str(workdir / "r.json")})


def test_the_result_holds_three_rows_and_is_what_the_file_holds(result, workdir):
    assert set(result["teacher"]) == ROW | {"label"} and set(result["student_alone"]) == ROW
    assert set(result["distilled"]) == ROW | {"method"} and result["distilled"]["method"] == "MKD"
    assert json.loads((workdir / "r.json").read_text()) == json.loads(json.dumps(result))
    assert result["teacher"]["parameters"] == 3 * result["distilled"]["parameters"]
    assert result["distilled"]["bytes"] == 4 * result["distilled"]["parameters"]
    assert result["versions"]["recbole"] == "1.2.1" and result["config"]["kd_method"] == "MKD"


def test_metrics_of_the_whole_catalogue_are_measured_and_less_may_be_better(settings):
    keys = {"metrics": ["NDCG", "GiniIndex", "ItemCoverage", "AveragePopularity", "ShannonEntropy", "TailPercentage"]}
    keys |= {"topk": [5], "valid_metric": "NDCG@5", "metric_decimal_place": 16}
    result = run_kd("RRD", config_dict={**settings, **keys})
    rows = [result[name]["test_result"] for name in ("distilled", "student_alone", "teacher")]
    assert all(len(row) == 6 for row in rows)
    own, alone, teacher = (row["giniindex@5"] for row in rows)
    expected = (own - alone) / (teacher - alone) if teacher < alone else None
    assert result["recovered_share"]["giniindex@5"] == (None if expected is None else pytest.approx(expected))


def test_recovered_share_is_of_the_gap_before_it_is_rounded_and_none_without_one(settings):
    result, rounded = (run_kd("MKD", config_dict={**settings, "metric_decimal_place": at}) for at in (16, 2))
    assert rounded["recovered_share"] == result["recovered_share"]
    for row in ("teacher", "student_alone", "distilled"):
        for part in ("valid_result", "test_result"):
            assert rounded[row][part] == {name: round(value, 2) for name, value in result[row][part].items()}
    for metric, share in result["recovered_share"].items():
        teacher, alone, distilled = (
            result[name]["test_result"][metric] for name in ("teacher", "student_alone", "distilled")
        )
        if teacher <= alone:
            assert share is None
        else:
            assert share == pytest.approx((distilled - alone) / (teacher - alone))


def test_a_second_run_finds_teacher_knowledge_and_student_alone(result, settings, monkeypatch):
    trained = []
    for user in ("experiment", "teacher.provider"):
        monkeypatch.setattr(f"recbole_kd.{user}.train", lambda *args, **kwargs: trained.append(1))
    again = run_kd("MKD", config_dict=settings)
    assert not trained
    for name in ("teacher", "student_alone", "distilled"):
        assert again[name]["test_result"] == result[name]["test_result"]


def test_the_student_alone_is_what_stock_recbole_trains(result, settings, workdir):
    theirs = {key: value for key, value in settings.items() if key not in ("teacher", "resume_interval", "dataset")}
    stock = run_recbole(model="BPR", dataset="toy", config_dict={**theirs, "checkpoint_dir": str(workdir / "stock")})
    assert result["student_alone"]["test_result"] == {k: float(v) for k, v in stock["test_result"].items()}
    file = next((workdir / "stock").glob("BPR-*.pth"))
    mine = read_checkpoint(result["student_alone"]["checkpoint"])
    assert same_weights(mine["state_dict"], read_checkpoint(file)["state_dict"])


def test_the_student_loads_and_recboles_case_study_works_on_it(result):
    file = result["distilled"]["checkpoint"]
    for load in (load_student, load_data_and_model):
        _config, model, dataset, _, _, test_data = load(file)
        users = dataset.token2id(dataset.uid_field, ["u1", "u2"])
        scores, items = full_sort_topk(users, model, test_data, k=3)
        assert scores.shape == items.shape == (2, 3) and (items > 0).all()
        assert full_sort_scores(users, model, test_data).shape == (2, dataset.item_num)


def test_a_student_whose_run_saved_dataset_and_loaders_loads(settings, workdir):
    keys = {**settings, "baseline": False, "save_dataset": True, "save_dataloaders": True, "checkpoint_dir": "all"}
    file = run_kd("MKD", config_dict=keys)["distilled"]["checkpoint"]
    assert list(Path("all").glob("*-dataloader.pth"))
    for load in (load_student, load_data_and_model):
        config, model, dataset, _, _, test_data = load(file)
        assert config["save_dataset"] and config["checkpoint_dir"] == "all"
        assert full_sort_topk([1], model, test_data, k=3)[0].shape == (1, 3) and dataset.item_num


def test_a_student_does_not_load_on_data_with_other_numbers(result, settings, workdir):
    file, place = result["distilled"]["checkpoint"], Path(settings["data_path"])
    head, *rows = (place / "toy/toy.inter").read_text().splitlines()
    (workdir / "moved/toy").mkdir(parents=True)
    (workdir / "moved/toy/toy.inter").write_text("\n".join([head, *reversed(rows)]) + "\n")
    with pytest.raises(KDError, match="numbers its users and items otherwise than when"):
        load_student(file, data_path=str(workdir / "moved"))
    (workdir / "moved/toy/toy.inter").write_text("\n".join([head, *rows]) + "\n")
    assert load_student(file, data_path=str(workdir / "moved"))[1]


@pytest.mark.parametrize("block", ["teacher", "student"])
def test_one_side_is_not_measured_otherwise_than_the_other(settings, workdir, block):
    keys = {**settings, f"{block}.topk": [3], f"{block}.valid_metric": "NDCG@3", "checkpoint_dir": "never"}
    with pytest.raises(KDError, match=r"would be measured by topk .*: write it once, outside"):
        run_kd("MKD", config_dict=keys)
    assert not list(Path("never").rglob("*.pth"))


def test_recboles_names_find_our_classes():
    for name in recbole_kd.method_names():
        assert get_model(name).__name__ == name
        assert get_trainer(ModelType.GENERAL, name) is KDTrainer


def test_the_stock_path_trains_and_evaluates_the_distilled_student(result, settings, workdir):
    flat = {key: value for key, value in settings.items() if key not in ("teacher", "dataset", "resume_interval")}
    flat |= {"teacher.embedding_size": 12, "teacher.learning_rate": 0.01}
    stock = run_recbole(model="MKD", dataset="toy", config_dict=flat)
    assert set(stock) == {"best_valid_score", "valid_score_bigger", "best_valid_result", "test_result"}
    # the same teacher, the same seed, the same student
    assert {k: float(v) for k, v in stock["test_result"].items()} == result["distilled"]["test_result"]
    file = next((workdir / "saved").glob("BPR-toy-MKD-*-*_*.pth"))
    assert read_checkpoint(file)["config"]["model"] == "BPR"


@pytest.mark.parametrize("student", ["GRU4Rec", "NeuMF", "MultiVAE", "NCL"])
def test_the_stock_path_refuses_a_student_that_is_read_or_trained_otherwise(settings, student):
    if student == "NCL":
        pytest.importorskip("faiss")
    keys = {"data_path", "checkpoint_dir", "state"}
    flat = {key: value for key, value in settings.items() if key in keys} | {"student_model": student}
    with pytest.raises(KDError, match=rf"run_recbole\(model='SLD'\) .* {student} .* use recbole_kd.run_kd"):
        run_recbole(model="SLD", dataset="toy", config_dict=flat)


def test_objective_function_gives_what_hyper_tuning_reads(settings, workdir):
    (workdir / "fixed.yaml").write_text("model: SLD\ndataset: toy\n")
    flat = {key: value for key, value in settings.items() if key != "dataset"}
    found = objective_function({**flat, "sld_tau": "0.5"}, [str(workdir / "fixed.yaml")])
    assert set(found) == {"model", "best_valid_score", "valid_score_bigger", "best_valid_result", "test_result"}
    assert found["best_valid_score"] == found["best_valid_result"]["mrr@10"]
    students = {file: file.stat().st_mtime_ns for file in (workdir / "saved").glob("BPR-toy-SLD-*")}
    again = objective_function({**flat, "sld_tau": "0.5"}, [str(workdir / "fixed.yaml")], saved=False)
    assert again["test_result"] == found["test_result"] and students
    assert {file: file.stat().st_mtime_ns for file in (workdir / "saved").glob("BPR-toy-SLD-*")} == students
    assert not list((workdir / "saved").glob(".search-*"))


def test_another_class_of_teacher(settings):
    result = run_kd("SLD", config_dict={**settings, "teacher_model": "EASE", "baseline": False})
    assert "student_alone" not in result and "recovered_share" not in result
    assert "EASE" in result["teacher"]["checkpoint"]


def test_a_feature_term_refuses_a_teacher_without_factors_before_training(settings, workdir):
    with pytest.raises(
        KDError, match="NKD needs a teacher that offers query and item vectors, and EASE offers scores only"
    ):
        run_kd("NKD", config_dict={**settings, "teacher_model": "EASE"})
    assert not list(workdir.rglob("*.pth"))


@pytest.mark.parametrize("student", ["LightGCN", "NGCF", "SimpleX"])
def test_students_of_other_families(settings, student):
    result = run_kd("MKD", config_dict={**settings, "student_model": student, "baseline": False, "epochs": 1})
    assert result["distilled"]["checkpoint"].split("/")[-1].startswith(f"{student}-toy-MKD-")


def test_a_student_of_another_class_than_its_teacher(settings):
    result = run_kd("MKD", config_dict={**settings, "teacher_model": "LightGCN", "baseline": False, "epochs": 1})
    assert "LightGCN" in result["teacher"]["checkpoint"] and "BPR-toy" in result["distilled"]["checkpoint"]


def test_users_without_held_out_interactions(settings, data_path):
    lines = (data_path / "toy" / "toy.inter").read_text().splitlines()
    (data_path / "sparse").mkdir(exist_ok=True)
    extra = [f"lonely{n}\ti{n}\t0" for n in range(5)]  # one interaction: nothing is held out
    (data_path / "sparse" / "sparse.inter").write_text("\n".join(lines + extra) + "\n")
    result = run_kd("MKD", config_dict={**settings, "dataset": "sparse", "baseline": False})
    assert result["distilled"]["test_result"]["recall@10"] >= 0


def test_a_student_wider_than_its_teacher_is_warned_of(settings, caplog):
    run_kd("SLD", config_dict={**settings, "embedding_size": 16, "baseline": False, "epochs": 1})
    assert "wider than its teacher" in caplog.text


def test_a_loss_that_is_not_finite_names_itself_and_keeps_the_last_checkpoint(settings, workdir, monkeypatch):
    from recbole_kd.term.sld import SLD

    loss = SLD.loss

    def breaking(self, batch):
        breaking.calls += 1
        return loss(self, batch) * (float("nan") if breaking.calls > 7 else 1.0)

    breaking.calls = 0
    monkeypatch.setattr(SLD, "loss", breaking)
    with pytest.raises(NonFiniteLoss, match=r"the SLD loss is not finite at epoch 1, step \d"):
        run_kd("MKD", config_dict={**settings, "baseline": False})
    kept = next((workdir / "saved").glob("BPR-toy-MKD-*.pth"))
    assert all(torch.isfinite(weight).all() for weight in read_checkpoint(kept)["state_dict"].values())


def test_global_names_are_few_and_exist():
    assert len(recbole_kd.__all__) <= 26
    assert all(hasattr(recbole_kd, name) for name in recbole_kd.__all__)


def test_a_stored_model_is_taken_only_where_all_that_decides_it_is_the_same(settings):
    def key(**keys):
        config = make_config("MKD", config_dict={**settings, **keys})
        return run_key(config, prepare_split(plain_config(config)).fingerprint)

    stock = key()
    for name, value in {"checkpoint_dir": "x", "resume": True, "result_file": "r.json", "topk": [10, 20]}.items():
        assert key(**{name: value}) == stock
    for name, value in {"learning_rate": 0.02, "seed": 1, "sld_tau": 2.0, "epochs": 3, "stopping_step": 4}.items():
        assert key(**{name: value}) != stock
    assert key(worker=2) != stock == key(worker=0)  # its processes draw the negatives


def test_a_pair_that_stands_twice_is_another_dataset_with_the_same_pairs(settings, data_path, tmp_path):
    def split():
        columns = {"inter": ["user_id", "item_id", "timestamp"]}
        keys = {"data_path": str(tmp_path), "eval_args": in_order, "load_col": columns}
        config = make_config("RRD", config_dict={**settings, **keys})
        return prepare_split(plain_config(config))

    in_order = {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "TO", "group_by": "user", "mode": "full"}
    (tmp_path / "toy").mkdir()
    lines = (data_path / "toy" / "toy.inter").read_text().splitlines()
    rows = [row.split("\t") for row in lines[1:]]
    files = []
    for extra in (0, 1):  # the first row of each user once, then twice, before all others
        again = [f"{user}\t{item}\t-1" for user, item, when in rows if when == "0"] * (1 + extra)
        (tmp_path / "toy" / "toy.inter").write_text("\n".join([lines[0], *again, *lines[1:]]) + "\n")
        files.append(split())
    assert files[0].fingerprint.train != files[1].fingerprint.train
    plain = prepare_split(plain_config(make_config("RRD", config_dict=settings)))
    assert plain.fingerprint.train == sha256_of(plain.pairs["train"])  # what was stored before this counted is found


@pytest.mark.parametrize(("keys", "words"), [
    ({"eval_args": {"split": {"RS": [0.8, 0.2]}}}, ["RS", "three parts"]),
    ({"benchmark_filename": ["train", "test"]}, ["benchmark_filename", "three parts"]),
    ({"eval_args": {"mode": "labeled"}}, ["eval_args", "mode: full"]),
    ({"eval_args": {"order": "TO"}, "load_col": {"inter": ["user_id", "item_id"]}}, ["order: TO", "load_col"]),
    ({"topk": [200], "valid_metric": "NDCG@200"}, ["topk=[200]", "90"]),
    ({"train_neg_sample_args": None}, ["train_neg_sample_args", "uniform"]),
    ({"train_neg_sample_args": {"distribution": "none", "sample_num": "none"}}, ["train_neg_sample_args", "uniform"]),
    ({"eval_args": {"split": {"RS": 5}}}, ["split: RS: 5", "a list of numbers"]),
    ({"eval_args": {"split": 5}}, ["split: 5", "{RS: [0.8, 0.1, 0.1]}"]),
    ({"clip_grad_norm": 5}, ["clip_grad_norm", "max_norm: 5"]),
    ({"clip_grad_norm": {"norm": 5}}, ["'norm' in clip_grad_norm", "'max_norm'"]),
    ({"clip_grad_norm": {"max_norm": "a"}}, ["clip_grad_norm: max_norm: 'a'", "a number above 0"]),
    ({"load_col": "abc"}, ["load_col='abc'", "{inter: [user_id, item_id]}"]),
    ({"unload_col": ["user_id"]}, ["unload_col=['user_id']", "not a dict"]),
    ({"loss_decimal_place": -1}, ["loss_decimal_place", "[0, 16]"]),
    ({"teacher_model": "EASE", "teacher": {"reg_weight": "a"}}, ["EASE", "reg_weight='a'", "not a number"]),
    ({"teacher_model": "NCL"}, ["NCL", "needs the package faiss"]),
    ({"dataset": ["toy"]}, ["dataset=['toy']", "not a name"]),
    ({"teacher_model": "LightGCN", "enable_amp": True}, ["LightGCN", "enable_amp", "one side"]),
])  # fmt: skip
def test_what_recbole_would_stumble_over_ends_in_a_sentence(settings, keys, words, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)  # as where it is not installed
    with pytest.raises(KDError) as caught:
        run_kd("RRD", config_dict={**settings, **keys})
    assert all(word in str(caught.value) for word in words), caught.value


def test_saved_loaders_are_never_read_and_a_saved_dataset_only_where_it_is_named(settings, workdir):
    """Loaders hold the negatives, and the form, of the run that saved them."""
    keys = {**settings, "baseline": False, "checkpoint_dir": "saved"}
    popular = {"train_neg_sample_args": {"distribution": "popularity", "sample_num": 1}}
    plain = run_kd("RRD", config_dict={**keys, **popular, "checkpoint_dir": "plain"})
    run_kd("RRD", config_dict={**keys, "save_dataloaders": True, "save_dataset": True})
    loaders, datasets = Path("saved/toy-for-BPR-dataloader.pth"), Path("saved/toy-Dataset.pth")
    assert loaders.is_file() and datasets.is_file()
    again = run_kd("RRD", config_dict={**keys, **popular})
    assert again["distilled"]["test_result"] == plain["distilled"]["test_result"]
    assert again["teacher"]["test_result"] == plain["teacher"]["test_result"]
    datasets.write_bytes(b"damaged")
    run_kd("RRD", config_dict=keys)
    with pytest.raises(KDError, match="could not be prepared"):
        run_kd("RRD", config_dict={**keys, "dataset_save_path": str(datasets)})
    with pytest.raises(KDError, match="dataloaders_save_path changes nothing"):
        run_kd("RRD", config_dict=keys, argv=[f"--dataloaders_save_path={loaders}"])


def test_whatever_stops_a_distillation_is_a_sentence(settings):
    keys = {**settings, "baseline": False, "student.learner": "sparse_adam"}
    with pytest.raises(TrainingFailed, match=r"the student BPR by SLD failed: .* dense gradients"):
        run_kd("SLD", config_dict=keys)


def test_weights_and_biases_are_shown_the_students_training_alone(settings, monkeypatch):
    """A run there counts one training's epochs; those of the teacher and the student alone would lie over it."""
    there, logged = types.ModuleType("wandb"), []

    def init(project, config):
        there.run = types.SimpleNamespace(summary={}, model=config["kd_method"])

    there.run, there.init, there.define_metric = None, init, lambda *args, **kwargs: None
    there.log = lambda metrics, commit: logged.append(metrics)
    there.__spec__ = importlib.machinery.ModuleSpec("wandb", None)
    monkeypatch.setitem(sys.modules, "wandb", there)
    result = run_kd("RRD", config_dict={**settings, "log_wandb": True})
    trained = [metrics for metrics in logged if "train_step" in metrics]
    assert there.run.model == "RRD" and [metrics["train_step"] for metrics in trained] == list(
        range(settings["epochs"])
    )
    assert there.run.summary["eval/ndcg@10"] == result["distilled"]["test_result"]["ndcg@10"]


def test_no_other_failure_is_put_down_to_enable_amp(settings, monkeypatch):
    def fit(*args, **kwargs):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("recbole.trainer.Trainer.fit", fit)
    with pytest.raises(RuntimeError, match="teacher BPR failed: too little memory: out of memory; a smaller"):
        run_kd("RRD", config_dict={**settings, "enable_amp": True})


def test_a_training_that_recbole_fails_in_ends_in_a_sentence_that_says_whose(settings, monkeypatch, capsys):
    argv = [f"--{key}={value}" for key, value in settings.items() if key != "teacher"]
    train = training.train

    def failing(config, *args, **kwargs):
        if config["embedding_size"] == failing.width:
            raise ZeroDivisionError("of a graph without edges")
        return train(config, *args, **kwargs)

    for user in ("experiment", "teacher.provider"):
        monkeypatch.setattr(f"recbole_kd.{user}.train", failing)
    for failing.width, whose in ((40, "the teacher BPR"), (4, "the student BPR alone")):
        assert main(["--model=RRD", *argv]) == 1
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith(f"recbole_kd: the training of {whose} failed: ") and "without edges" in said


@pytest.mark.parametrize(("keys", "words"), [
    ({"teacher": {"seed": 7}}, ["another split"]), ({"student": {"eval_args": {"order": "TO"}}}, ["another split"]),
    ({"teacher_model": "RaCT"}, ["RaCT", "train_stage=actor_pretrain", "teacher_path"]),
    ({"teachers": [{"model": "BPR"}, {"model": "NCL"}]}, ["NCL", "faiss"]),
    ({"teachers": [{"model": "BPR"}, {"model": "BPR", "seed": 5}]}, ["seed=5", "another split"]),
])  # fmt: skip
def test_teachers_that_will_not_do_are_refused_before_any_is_trained(settings, keys, words, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)  # as where it is not installed
    for user in ("experiment", "teacher.provider"):
        monkeypatch.setattr(f"recbole_kd.{user}.train", lambda *args, **kwargs: pytest.fail("trained"))
    settings["load_col"] = {"inter": ["user_id", "item_id", "timestamp"]}
    with pytest.raises(KDError) as caught:
        run_kd("RRD", config_dict={**settings, **keys})
    assert all(word in str(caught.value) for word in words), caught.value
    assert not Path(settings["checkpoint_dir"]).exists()


@pytest.mark.parametrize("split", [{"RS": [0.8, 0.2, 0]}, {"LS": "valid_only"}])
def test_without_a_test_part_a_search_goes_on_and_a_comparison_does_not(settings, split):
    keys = {**settings, "eval_args": {"split": split}}
    with pytest.raises(KDError, match="leaves no test pair"):
        run_kd("RRD", config_dict=keys)
    assert not list(Path(settings["checkpoint_dir"]).rglob("*.pth"))
    assert objective_function({**keys, "model": "RRD"})["best_valid_result"]


@pytest.mark.parametrize("split", [{"RS": [0.8, 0, 0.2]}, {"LS": "test_only"}])
def test_without_a_validation_part_the_last_epoch_is_kept_and_nothing_can_be_searched(settings, split, caplog):
    keys = {**settings, "eval_args": {"split": split}}
    result = run_kd("RRD", config_dict=keys)
    assert result["distilled"]["test_result"] and not result["distilled"]["valid_result"]
    assert read_checkpoint(result["distilled"]["checkpoint"])["epoch"] == keys["epochs"] - 1
    assert sum("no validation pair" in record.getMessage() for record in caplog.records) == 1
    with pytest.raises(KDError, match="leaves no valid pair"):
        objective_function({**keys, "model": "RRD"})


def test_a_teacher_that_imports_nothing_that_is_missing_may_teach(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "community", None)  # NNCF asks for it with another of its settings
    keys = {key: value for key, value in settings.items() if key != "teacher"}
    assert run_kd("KD", config_dict={**keys, "teacher_model": "NNCF", "baseline": False})["teacher"]["test_result"]


def test_too_little_memory_is_said_in_a_sentence(settings, monkeypatch, capsys):
    argv = [f"--{key}={value}" for key, value in settings.items() if key != "teacher"]

    def fail(*args):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    monkeypatch.setattr("recbole_kd.method.distiller.Distiller.calculate_loss", fail)
    assert main(["--model=RRD", *argv]) == 1
    assert "too little memory" in (said := capsys.readouterr().err.splitlines()[-1]) and "kd_rows" in said


@pytest.mark.parametrize("model", ["ADMMSLIM", "NCEPLRec", "EASE", "ItemKNN"])
def test_a_solved_model_counts_what_it_was_solved_into(settings, model):
    keys = {key: value for key, value in settings.items() if key != "teacher"}
    result = run_kd("KD", config_dict={**keys, "teacher_model": model, "baseline": False})
    assert result["teacher"]["parameters"] > 90 and result["teacher"]["bytes"] > 4 * 90  # items


def test_paths_and_numpys_numbers_are_taken_as_what_they_say(settings):
    keys = {"checkpoint_dir": Path(settings["checkpoint_dir"]), "data_path": Path(settings["data_path"])}
    result = run_kd("RRD", config_dict={**settings, **keys, "rrd_k": np.int64(5), "topk": [np.int64(10)]})
    assert load_student(result["distilled"]["checkpoint"])[0]["data_path"] == settings["data_path"] + "/toy"
    assert run_kd("RRD", config_dict={**settings, "rrd_k": 5})["teacher"]["test_result"]
    with pytest.raises(KDError, match="rrd_k holds a set"):
        run_kd("RRD", config_dict={**settings, "rrd_k": {5}})
