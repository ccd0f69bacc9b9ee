"""A model that is loaded on data that grew: it may recommend there, and is not measured there."""

import json
import logging
import shutil

import numpy as np
import pytest
import torch
from recbole.utils.case_study import full_sort_topk

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.evaluation.metrics import evaluate, evaluate_validation
from recbole_kd.experiment import Experiment, make_config
from recbole_kd.io import torch_bytes
from recbole_kd.quick_start import load_student
from recbole_kd.serving import export
from recbole_kd.testing import ConformanceRun
from recbole_kd.trainer import training


@pytest.fixture
def student(settings, workdir):
    """A distilled student, and a copy of its data that a test may change."""
    shutil.copytree(f"{settings['data_path']}/toy", workdir / "data" / "toy")
    ConformanceRun("KD", {**settings, "epochs": 1, "teacher": {}}).trained(workdir / "s.pth")
    return workdir / "s.pth"


def grow(workdir):
    """Add a row of known tokens for each of thirty users, behind the rows of all."""
    file = workdir / "data" / "toy" / "toy.inter"
    lines = file.read_text().splitlines()
    known = {tuple(line.split("\t")[:2]) for line in lines[1:]}
    items = sorted({item for _, item in known})
    new = [next((f"u{u}", item) for item in items if (f"u{u}", item) not in known) for u in range(30)]
    file.write_text("\n".join([*lines, *(f"{user}\t{item}\t99" for user, item in new)]) + "\n")


def tokens_of(loader):
    """The pairs of a part as tokens, row by row."""
    data = loader._dataset
    users, items = (data.inter_feat[name].numpy() for name in (data.uid_field, data.iid_field))
    return set(zip(data.id2token(data.uid_field, users), data.id2token(data.iid_field, items), strict=True))


def test_unchanged_data_set_no_field_and_give_no_word(student, workdir, caplog):
    with caplog.at_level(logging.WARNING):
        config, model, _, *_ = load_student(str(student), str(workdir / "data"))
    assert config["changed_data"] is None and not caplog.records
    assert evaluate(config, model, prepare_split(config))[1]["ndcg@10"] > 0


def test_data_that_grew_set_the_field_and_warn_and_are_not_evaluated_on(student, workdir, caplog):
    trained_on = tokens_of(load_student(str(student), str(workdir / "data"))[3])
    grow(workdir)
    with caplog.at_level(logging.WARNING):
        config, model, _, _, _, test = load_student(str(student), str(workdir / "data"))
    assert len(tokens_of(test) & trained_on) > 10  # what the warning is about
    sentence = config["changed_data"]
    assert [record.getMessage() for record in caplog.records] == [sentence]
    assert f"the dataset 'toy' in '{workdir / 'data' / 'toy'}' has changed since '{student}' was trained" in sentence
    assert "its pairs for train, valid, test are others" in sentence
    split = prepare_split(config)
    for measure in (evaluate, evaluate_validation):
        with pytest.raises(KDError, match=r"no metrics are computed: the dataset 'toy' .* has changed"):
            measure(config, model, split)
    assert full_sort_topk(np.arange(1, 4), model, test, k=5)[1].shape == (3, 5)  # recommending goes on


def test_other_test_files_alone_are_a_change_too(settings, workdir):
    folder = workdir / "data" / "cut"
    folder.mkdir(parents=True)
    head = "user_id:token\titem_id:token\ttimestamp:float"
    rows = [f"u{u}\ti{(u * 7 + n * 3) % 20}\t{n}" for u in range(20) for n in range(6)]
    for part, chosen in (("a", (0, 1, 2, 3)), ("b", (4,)), ("c", (5,))):
        lines = [row for n, row in enumerate(rows) if n % 6 in chosen]
        (folder / f"cut.{part}.inter").write_text("\n".join([head, *lines]) + "\n")
    keys = {**settings, "dataset": "cut", "data_path": str(workdir / "data"), "benchmark_filename": ["a", "b", "c"]}
    config = make_config("KD", config_dict=keys).teachers[0].config
    training.train(config, workdir / "t.pth")
    assert load_student(str(workdir / "t.pth"))[0]["changed_data"] is None
    with open(folder / "cut.c.inter", "a") as stream:
        stream.write("u0\ti1\t9\n")
    changed = load_student(str(workdir / "t.pth"))[0]["changed_data"]
    assert "its pairs for test are others" in changed

    with open(folder / "cut.b.inter", "a") as stream:
        stream.write("u1\ti1\t9\n")
    keys["teacher_path"] = str(workdir / "t.pth")
    del keys["teacher"]
    with pytest.raises(KDError, match="the dataset's files are not those that it was trained on"):
        _ = Experiment(make_config("KD", config_dict=keys)).given_teachers  # it was chosen by other pairs


def test_the_field_of_an_earlier_load_is_not_believed(student, workdir):
    content = read_checkpoint_as_written(student)
    content["config"].final_config_dict["changed_data"] = "old"
    student.write_bytes(torch_bytes(content))
    assert load_student(str(student), str(workdir / "data"))[0]["changed_data"] is None


def read_checkpoint_as_written(file):
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("entry", [None, 5, "x"])
def test_a_checkpoint_without_a_fingerprint_cannot_tell(student, workdir, entry):
    student.write_bytes(torch_bytes({**read_checkpoint_as_written(student), "fingerprint": entry}))
    grow(workdir)
    assert load_student(str(student), str(workdir / "data"))[0]["changed_data"] is None


def test_an_export_from_data_that_grew_says_so_and_has_no_accuracy(student, workdir):
    out = {}
    for name in ("before", "after"):
        report = export(str(student), str(workdir / name), precision="fp16", data_path=str(workdir / "data"))
        out[name] = json.loads((workdir / name / "model.json").read_text())
        assert (report.ndcg is None) == (name == "after")
        grow(workdir)
    assert "changed_data" not in out["before"] and "has changed since" in out["after"]["changed_data"]
    assert out["before"]["fingerprint"] == out["after"]["fingerprint"] == read_checkpoint(student)["fingerprint"]


def test_a_student_of_data_that_grew_is_no_teacher(student, settings, workdir):
    grow(workdir)
    keys = {**settings, "data_path": str(workdir / "data"), "teacher_path": str(student)}
    del keys["teacher"]
    with pytest.raises(KDError, match="the dataset's files are not those that it was trained on"):
        _ = Experiment(make_config("KD", config_dict=keys)).given_teachers
