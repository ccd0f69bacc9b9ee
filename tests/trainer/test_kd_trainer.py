"""KDTrainer's hooks: losses by name, early stopping after the schedule, the student as the checkpoint."""

import pytest
import torch
from recbole.data.interaction import Interaction
from recbole.utils import init_seed

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from recbole_kd.method.registry import method_class
from recbole_kd.testing import ConformanceRun
from recbole_kd.trainer.kd_trainer import KDTrainer
from recbole_kd.trainer.model_builder import build_seeded_model
from recbole_kd.trainer.options import TrainingFiles, TrainingOptions
from recbole_kd.trainer.sum_reduction import sum_over_rows
from recbole_kd.trainer.training import run_trainer


def trainer_of(bench, file):
    init_seed(bench.config["seed"], True)
    model = method_class(bench.config.method)(bench.config, bench.data.train._dataset, bench.knowledge)
    return KDTrainer(bench.config, model, TrainingFiles(file))


def test_each_loss_is_logged_by_its_name(settings, workdir, caplog):
    bench = ConformanceRun("MKD", settings)
    trainer = trainer_of(bench, workdir / "x.pth")
    scalars = []
    trainer.tensorboard.add_scalar = lambda tag, value, epoch: scalars.append(tag)
    with caplog.at_level("INFO"):
        trainer.fit(bench.data.train, bench.data.valid)
    for name in ("base", "NKD", "CPD", "SLD"):
        assert f"{name} loss" in caplog.text and f"Loss/Train/{name}" in scalars


def test_the_progress_bar_shows_each_loss(settings, workdir, capsys):
    bench = ConformanceRun("MKD", {**settings, "train_batch_size": 16, "epochs": 1})
    trainer_of(bench, workdir / "x.pth").fit(bench.data.train, bench.data.valid, show_progress=True)
    bar = capsys.readouterr().err
    assert "Train     0" in bar and "base=" in bar and "SLD=" in bar


@pytest.mark.parametrize("warmup", [0, 6])
def test_early_stopping_counts_after_the_last_phase_only(settings, workdir, monkeypatch, warmup):
    keys = {"epochs": 30, "stopping_step": 2, "sld_warmup": warmup}
    bench = ConformanceRun("SLD", {**settings, **keys})
    trainer = trainer_of(bench, workdir / "x.pth")
    assert trainer.model.last_phase == warmup
    scores = iter([0.9] + [0.1] * 40)  # the first evaluation is never reached again
    monkeypatch.setattr(trainer, "evaluate", lambda *args, **kwargs: {"mrr@10": next(scores)})
    trainer.fit(bench.data.train, bench.data.valid)
    # epochs that do not improve count from the last phase's first epoch on, and three of them end the training
    assert len(trainer.train_loss_dict) == (max(warmup, 1) + 3)


def test_terms_without_a_schedule_end_no_phase(settings):
    assert ConformanceRun("NKD", settings).model().last_phase == 0
    assert ConformanceRun("SLD", settings, sld_mode="union").model().last_phase == 0


def test_the_optimiser_in_the_checkpoint_is_the_students_alone(settings, workdir):
    bench = ConformanceRun("MKD", settings)
    optimiser = bench.trained(workdir / "x.pth")["optimizer"]
    plain = build_seeded_model(bench.student_config, bench.data.train._dataset)
    again = torch.optim.Adam(plain.parameters())
    again.load_state_dict(optimiser)  # a stock trainer can go on from it
    shapes = [tuple(again.state[weight]["exp_avg"].shape) for weight in plain.parameters()]
    assert shapes == [tuple(weight.shape) for weight in plain.parameters()]


def test_the_terms_step_is_adams_and_every_parameter_takes_one(settings, workdir):
    bench = ConformanceRun("MKD", settings)
    trainer = trainer_of(bench, workdir / "x.pth")
    students, others = (group["params"] for group in trainer.optimizer.param_groups)
    assert [*map(id, students)] == [*map(id, trainer.model.student.parameters())]
    assert {*map(id, students), *map(id, others)} == {*map(id, trainer.model.parameters())}
    again = [weight.detach().clone().requires_grad_() for weight in others]
    adam = torch.optim.Adam(again, lr=bench.config["learning_rate"])
    for _ in range(3):
        for weight, copy in zip(others, again, strict=True):
            weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel()))
            copy.grad = weight.grad.clone()
        trainer.optimizer.step()
        adam.step()
    for weight, copy in zip(others, again, strict=True):
        torch.testing.assert_close(weight, copy, rtol=1e-5, atol=1e-7)


def test_stock_resuming_of_a_distilled_checkpoint_is_refused(settings, workdir):
    bench = ConformanceRun("SLD", settings)
    with pytest.raises(KDError, match="resume=True"):
        trainer_of(bench, workdir / "x.pth").resume_checkpoint("x.pth")


def test_the_base_weight_and_the_sum_reduction(settings):
    bench = ConformanceRun("SLD", settings, kd_rows=0)
    batch = bench.batch()
    mean = bench.model().calculate_loss(batch)
    half = ConformanceRun("SLD", settings, kd_rows=0, kd_base_weight=0.5).model().calculate_loss(batch)
    total = ConformanceRun("SLD", settings, kd_rows=0, kd_reduction="sum").model().calculate_loss(batch)
    assert float(half[0].detach()) == pytest.approx(0.5 * float(mean[0].detach()))
    assert float(total[0].detach()) == pytest.approx(len(batch) * float(mean[0].detach()), rel=1e-5)
    users = len(batch[bench.data.dataset.uid_field].unique())
    assert float(total[1].detach()) == pytest.approx(users * float(mean[1].detach()), rel=1e-5)


ROWS = [
    ("KD", {"kd_items": "all"}),
    ("CD", {}),
    ("UnKD", {}),
    ("RD", {"rd_start": 0}),
    ("RCEKD", {}),
    ("CPD", {"cpd_pair_weight": 0.0, "cpd_rows": 0, "cpd_dropout": 0.0}),
]
USERS = [("SLD", {}), ("RRD", {}), ("HetComp", {"hetcomp_items": 0})]


@pytest.mark.parametrize(("method", "keys"), ROWS + USERS)
def test_a_sum_runs_over_rows_where_the_paper_does_and_over_users_elsewhere(settings, method, keys):
    model, batch = _of_one_loss(ConformanceRun(method, settings, kd_rows=0, kd_reduction="sum", **keys))
    users = batch["user_id"]
    assert len(users.unique()) < len(users)
    first = [int((users == user).nonzero()[0]) for user in users.unique()]
    rows = range(len(users)) if (method, keys) in ROWS else first
    losses = [float(model.calculate_loss(batch[torch.tensor([row])])[1].detach()) for row in rows]
    assert float(model.calculate_loss(batch)[1].detach()) == pytest.approx(sum(losses), rel=1e-4)
    assert len({round(value, 6) for value in losses}) > 1


def test_a_sum_over_rows_estimated_from_a_sample_of_users_is_unbiased(settings):
    keys = {"kd_items": "all", "kd_reduction": "sum"}
    full, batch = _of_one_loss(ConformanceRun("KD", settings, kd_rows=0, **keys))
    sampled, _ = _of_one_loss(ConformanceRun("KD", settings, kd_rows=8, **keys))
    estimates = torch.tensor([float(sampled.calculate_loss(batch)[1].detach()) for _ in range(2000)])
    expected = float(full.calculate_loss(batch)[1].detach())
    standard_error = float(estimates.std()) / 2000**0.5
    assert standard_error > 0 and abs(float(estimates.mean()) - expected) < 4 * standard_error


def test_rows_of_several_negatives_count_once_in_a_sum(settings):
    one = ConformanceRun("KD", settings, kd_rows=0, kd_reduction="sum")
    three = {
        "train_neg_sample_args": {
            "distribution": "uniform",
            "sample_num": 3,
            "alpha": 1.0,
            "dynamic": False,
            "candidate_num": 0,
        }
    }
    several = ConformanceRun("KD", settings, kd_rows=0, kd_reduction="sum", **three)
    model, batch = one.model(), one.batch()
    again = several.model()
    again.load_state_dict(model.state_dict())
    repeated = Interaction({name: torch.cat([column] * 3) for name, column in batch.interaction.items()})
    expected = float(model.calculate_loss(batch)[1].detach())
    assert float(again.calculate_loss(repeated)[1].detach()) == pytest.approx(expected, rel=1e-4)


def _of_one_loss(bench):
    model = bench.model()
    model.terms[0].aligns = False  # CPD's other loss compares entities
    return model, bench.batch()


@pytest.mark.parametrize("student", ["BPR", "LightGCN"])
def test_under_a_sum_the_student_alone_is_what_is_distilled_at_weight_zero(settings, workdir, student):
    decay = {"kd_reduction": "sum", "kd_rows": 0, "weight_decay": 1.0, "student_model": student}
    bench = ConformanceRun("SLD", settings, sld_weight=0.0, **decay)
    distilled = bench.trained(workdir / "x.pth")["state_dict"]
    alone = read_checkpoint(bench.experiment.train_alone().file)["state_dict"]
    assert all(torch.equal(alone[name], distilled[name]) for name in distilled)
    mean = ConformanceRun("SLD", settings, **{**decay, "kd_reduction": "mean"})
    other = read_checkpoint(mean.experiment.train_alone().file)["state_dict"]
    assert not any(torch.equal(alone[name], other[name]) for name in alone)  # the same decay weighs more beside a mean


def test_the_sum_reaches_the_teacher_by_the_teachers_key_only(settings):
    config = make_config("SLD", config_dict={**settings, "kd_reduction": "sum"})
    assert (plain_config(config)["kd_reduction"], config.teacher["kd_reduction"]) == ("sum", None)
    config = make_config("SLD", config_dict={**settings, "teacher.kd_reduction": "sum"})
    assert (config["kd_reduction"], plain_config(config)["kd_reduction"]) == ("mean", None)
    assert config.teacher["kd_reduction"] == "sum"
    with pytest.raises(KDError, match="kd_reduction=sum has no effect on EASE"):
        make_config("SLD", config_dict={**settings, "teacher_model": "EASE", "teacher.kd_reduction": "sum"})


def test_the_sum_of_a_loss_counts_the_rows_of_several_negatives_once(settings):
    for model, rows in (("BPR", 12), ("NeuMF", 36)):
        args = {
            "train_neg_sample_args": {
                "distribution": "uniform",
                "sample_num": 3,
                "alpha": 1.0,
                "dynamic": False,
                "candidate_num": 0,
            }
        }
        config = make_config("SLD", config_dict={**settings, **args, "teacher_model": model}).teacher
        assert sum_over_rows((torch.tensor(0.5), torch.tensor(0.25)), 36, config) == pytest.approx(rows * 0.75)


def test_a_single_epoch_runs_without_fit(settings, workdir):
    bench = ConformanceRun("RRD", settings)
    trainer = trainer_of(bench, workdir / "x.pth")  # as benchmarks/cost.py times one
    losses = trainer._train_epoch(prepare_split(bench.student_config).train, 0)
    assert all(loss > 0 for loss in losses)


def test_on_epoch_is_told_when_the_last_phase_begins_even_if_that_was_not_known_before(settings, workdir):
    bench = ConformanceRun("HetComp", {**settings, "epochs": 4}, teacher_model=["EASE", "ItemKNN"], hetcomp_k=10)
    model, trainers, reported = trainer_of(bench, workdir / "x.pth").model, [], []

    class Recorded(KDTrainer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            trainers.append(self)

    model_class = type(model)
    options = TrainingOptions(on_epoch=lambda epoch, score, phases_done: reported.append(phases_done))
    try:
        model_class.last_phase = property(lambda model: 2 if trainers[0].epoch >= 2 else 10**9)
        split = prepare_split(bench.student_config)
        run_trainer(Recorded, bench.config, model, split, workdir / "x.pth", options)
    finally:
        del model_class.last_phase
    assert reported == [False, False, True, True]
