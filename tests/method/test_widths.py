"""Matryoshka students: kd_widths trains the first coordinates of a student as students too."""

import json

import pytest
import torch
from torch.nn.functional import logsigmoid

from recbole_kd import Recommender, load_student, recommend, run_kd
from recbole_kd.backbone import backbone_of
from recbole_kd.backbone.narrow import factor_tables, first_coordinates, keeps_coordinates_apart
from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.errors import KDError
from recbole_kd.evaluation.metrics import evaluate
from recbole_kd.experiment import make_config
from recbole_kd.report import result_table
from recbole_kd.testing import ConformanceRun
from recbole_kd.testing.interruption import Interrupted, InterruptedTrainer
from recbole_kd.trainer import training
from recbole_kd.trainer.cache_key import outcome_settings
from recbole_kd.trainer.kd_trainer import KDTrainer
from recbole_kd.trainer.narrow import narrow_file
from recbole_kd.trainer.options import TrainingOptions


def test_the_own_loss_is_the_mean_over_the_widths(settings):
    run = ConformanceRun("KD", settings, kd_widths=[1, 3, 4], kd_weight=0.0)
    model, batch = run.model(), run.batch()
    base = model.calculate_loss(batch)[0]
    users, items = model.student.user_embedding.weight, model.student.item_embedding.weight
    wanted = 0
    for width in (1, 3, 4):
        user, pos, neg = (
            table[batch[name]][:, :width]
            for table, name in ((users, "user_id"), (items, "item_id"), (items, "neg_item_id"))
        )
        wanted = wanted - logsigmoid((user * (pos - neg)).sum(dim=1)).mean() / 3
    torch.testing.assert_close(base, wanted, rtol=1e-4, atol=1e-6)
    base.backward()
    assert all(weight.grad[:, column].any() for weight in (users, items) for column in range(4))


def with_larger_tables(model):
    with torch.no_grad():
        for table in factor_tables(model.student):
            table.weight.mul_(20)
    return model


def test_a_term_reads_the_first_coordinates(settings):
    run = ConformanceRun("KD", {**settings, "kd_rows": 0}, kd_widths=[2, 4])
    mean = with_larger_tables(run.model()).calculate_loss(run.batch())[1]
    single = []
    for width in (2, 4):
        model = with_larger_tables(ConformanceRun("KD", {**settings, "kd_rows": 0}).model())
        with torch.no_grad():
            for table in factor_tables(model.student):
                table.weight[:, width:] = 0
        single.append(model.calculate_loss(run.batch())[1])
    torch.testing.assert_close(mean, sum(single) / 2, rtol=0.05, atol=1e-4)  # each draws its own candidates
    assert not torch.allclose(single[0], single[1], rtol=1e-3)


def test_the_full_width_alone_trains_the_student_as_without(settings, workdir):
    weights = []
    for widths in ({}, {"kd_widths": [4]}):
        run = ConformanceRun("KD", settings, **widths)
        weights.append(run.trained(workdir / f"{len(widths)}.pth")["state_dict"])
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=0, atol=0)


def test_inside_the_tables_are_zero_behind_the_width_and_afterwards_whole(settings):
    student = ConformanceRun("KD", settings).new_model().student
    tables = factor_tables(student)
    before = {name: weight.clone() for name, weight in student.state_dict().items()}
    with pytest.raises(RuntimeError), first_coordinates(tables, 1):
        assert not student.item_embedding.weight[:, 1:].any()
        raise RuntimeError
    assert [type(table.weight) for table in tables] == [torch.nn.Parameter] * 2
    for name, weight in student.state_dict().items():
        torch.testing.assert_close(weight, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("student", ["BPR", "LightGCN"])
def test_each_width_is_a_plain_student(student, settings, workdir, plain_recbole_process):
    keys = {**settings, "student_model": student, "teacher_model": "BPR", "kd_widths": [1, 3, 4], "baseline": False}
    result = run_kd("KD", config_dict={**keys, "result_file": "result.json"})
    full = load_student(result["distilled"]["checkpoint"])[1]
    assert [row["width"] for row in result["widths"]] == [1, 3]
    for row in result["widths"]:
        width, file = row["width"], row["checkpoint"]
        assert file == str(narrow_file(result["distilled"]["checkpoint"], width))
        config, model, *_ = load_student(file)
        assert config["embedding_size"] == width and not config["changed_data"]
        factors, whole = (backbone_of(m).snapshot() for m in (model, full))
        torch.testing.assert_close(factors.item_table, whole.item_table[:, :width])
        torch.testing.assert_close(factors.query_table, whole.query_table[:, :width])
        split = ConformanceRun("KD", keys).data
        assert evaluate(config, model, split)[1] == row["test_result"]
        assert row["bytes"] == result["distilled"]["bytes"] * width // 4
        assert plain_recbole_process.load(file) == "loaded"
        table = recommend(Recommender(file), ["u1"], 3)
        assert len(table) == 3
    assert "its first 3 coordinates" in result_table(result)
    assert json.loads((workdir / "result.json").read_text())["widths"][0]["width"] == 1


@pytest.mark.parametrize("method", ["MKD", "HetComp", "BD", "RRD", "DE", "FreqD"])
def test_other_methods_compare_every_width(method, settings):
    run = ConformanceRun(method, settings, kd_widths=[2, 4])
    model = run.model()
    losses = model.calculate_loss(run.batch())
    sum(losses).backward()
    assert all(torch.isfinite(loss) for loss in losses)
    assert model.student.item_embedding.weight.grad[:, 3].any()


def test_a_resumed_training_is_that_of_an_uninterrupted_one(settings, workdir):
    run = ConformanceRun("KD", {**settings, "epochs": 3}, kd_widths=[2, 4])
    whole = run.trained(workdir / "whole.pth")["state_dict"]
    file, options = workdir / "stopped.pth", TrainingOptions(resume=True, resume_interval=0)
    split = run.data.fresh(run.student_config)
    with pytest.raises(Interrupted):
        training.run_trainer(InterruptedTrainer, run.config, run.new_model(split), split, file, options)
    split = run.data.fresh(run.student_config)
    training.run_trainer(KDTrainer, run.config, run.new_model(split), split, file, options)
    for name, weight in read_checkpoint(file)["state_dict"].items():
        torch.testing.assert_close(weight, whole[name], rtol=0, atol=0)


def test_the_widths_name_another_training(settings):
    names = [outcome_settings(make_config("KD", config_dict={**settings, **more}).final_config_dict)
             for more in ({}, {"kd_widths": None}, {"kd_widths": [2, 4]})]  # fmt: skip
    assert names[0] == names[1] != names[2]


def test_models_that_mix_coordinates_are_found(settings):
    for student, apart in (("BPR", True), ("LightGCN", True), ("NGCF", False), ("SimpleX", False), ("ENMF", False)):
        run = ConformanceRun("RRD", settings, student_model=student, teacher_model="BPR")
        assert keeps_coordinates_apart(run.new_model().backbone) == apart


REFUSALS = [
    ("KD", {"kd_widths": [1, 2]}, r"kd_widths=\[1, 2\] is no list of widths.*such as \[1, 2, 4\]"),
    ("KD", {"kd_widths": [2, 1, 4]}, "in ascending order"),
    ("KD", {"kd_widths": [0, 4]}, "ints above 0"),
    ("KD", {"kd_widths": []}, "no list of widths"),
    ("KD", {"kd_widths": ["a", 4]}, "no list of widths"),
    ("KD", {"kd_widths": 4}, "it takes a list"),
    ("KD", {"kd_widths": [2, 4], "student_model": "NGCF"}, "coordinates stay apart, and NGCF is not"),
    ("DLLM2Rec", {"kd_widths": [2, 4]}, "DLLM2Rec changes them for its training"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "keys", "message"), REFUSALS)
def test_refused_before_any_training(method, keys, message, settings, workdir):
    with pytest.raises(KDError, match=message):
        run_kd(method, config_dict={**settings, **keys})
    assert not list(workdir.rglob("*.pth"))
