"""Our trainers over RecBole's special ones: the student's own training stays RecBole's, and can be resumed."""

import pytest
import torch
from recbole.quick_start import run_recbole
from recbole.trainer import (
    KGTrainer,
    RaCTTrainer,
    RecVAETrainer,
    S3RecTrainer,
    Trainer,
)
from torch import nn

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from recbole_kd.method.checks import check_distributable
from recbole_kd.testing import same_weights
from recbole_kd.trainer.kd_trainer import KDTrainer
from recbole_kd.trainer.model_builder import build_model
from recbole_kd.trainer.options import TrainingOptions
from recbole_kd.trainer.phases import PhaseTrainer
from recbole_kd.trainer.recbole_trainer import is_resumable, over_recbole_trainer, recbole_trainer
from recbole_kd.trainer.resumable import ResumableTrainer
from recbole_kd.trainer.snapshots import Snapshots
from recbole_kd.trainer.training import read_done_marker, train
from tests.trainer.special_trainers import MODELS, OWN, config_of, interrupted, trainer_of


@pytest.mark.parametrize("name", MODELS)
def test_the_class_is_ours_over_the_models_own(name, kg_settings):
    config = config_of(name, kg_settings)
    assert recbole_trainer(config) is OWN[name] and is_resumable(config)
    for ours in (ResumableTrainer, KDTrainer):
        kind = over_recbole_trainer(ours, config)
        assert issubclass(kind, ours) and issubclass(kind, OWN[name]) and kind is over_recbole_trainer(ours, config)
    order = [entry for entry in kind.__mro__ if entry in (KDTrainer, ResumableTrainer, OWN[name], PhaseTrainer)]
    if name != "BPR":
        assert order == [KDTrainer, ResumableTrainer, OWN[name], PhaseTrainer]
    expected = {KGTrainer: "KDKGTrainer", RecVAETrainer: "KDRecVAETrainer", Trainer: "KDTrainer"}
    assert kind.__name__ == expected.get(OWN[name], f"KD{OWN[name].__name__}")


@pytest.mark.parametrize("name", MODELS)
def test_weight_0_is_bit_equal_to_plain_recbole(name, kg_settings, workdir, monkeypatch):
    # it predicts a row before the training, for which KTUP draws noise
    monkeypatch.setattr("recbole.quick_start.quick_start.get_flops", lambda *args, **kwargs: 0)
    run_recbole(model=name, dataset="kg", config_dict={**kg_settings, **MODELS[name]})
    (file,) = (workdir / "saved").glob(f"{name}-*.pth")
    config = config_of(name, kg_settings)
    plain = read_checkpoint(file)
    for kind in (ResumableTrainer, KDTrainer):
        trainer, data = trainer_of(kind, config, workdir / "x.pth")
        trainer.fit(data.train, data.valid, show_progress=False)
        ours = read_checkpoint(workdir / "x.pth")
        assert same_weights(plain["state_dict"], ours["state_dict"])
        assert plain["epoch"] == ours["epoch"] and float(plain["best_valid_score"]) == ours["best_valid_score"]
    assert trainer.model.terms[0].started == [0, 1, 2]
    assert not same_weights(build_model(config, data.train._dataset).state_dict(), ours["state_dict"])


@pytest.mark.parametrize("kind", [ResumableTrainer, KDTrainer])
@pytest.mark.parametrize("name", [name for name in MODELS if name != "BPR"])
def test_resume_is_bit_equal(name, kind, kg_settings, workdir):
    config = config_of(name, kg_settings)
    whole, data = trainer_of(kind, config, workdir / "whole.pth", weight=0.1)
    whole.fit(data.train, data.valid)
    paths = (workdir / "cut.pth", 0.1, workdir / "cut.resume")
    first, data = trainer_of(interrupted(kind), config, *paths)
    with pytest.raises(InterruptedError):
        first.fit(data.train, data.valid)
    second, data = trainer_of(kind, config, *paths)
    assert second.resume() == 1
    second.fit(data.train, data.valid)
    assert same_weights(nn.Module.state_dict(whole.model), nn.Module.state_dict(second.model))  # the terms' too
    assert whole.train_loss_dict == second.train_loss_dict and whole.valid_scores == second.valid_scores
    contents = [read_checkpoint(workdir / f"{file}.pth")["state_dict"] for file in ("whole", "cut")]
    assert same_weights(*contents)


def test_what_is_kept_outside_the_state_dict_is_restored(kg_settings, workdir):
    for name, attributes in {"KGAT": ["A_in"], "NCL": ["user_centroids", "user_2cluster", "item_2cluster"]}.items():
        paths = (workdir / f"{name}.pth", 0.0, workdir / f"{name}.resume")
        first, data = trainer_of(KDTrainer, config_of(name, kg_settings, epochs=1), *paths)
        first.fit(data.train, data.valid)
        first._last_resume_point = None
        first._write_resume_point(1)
        second, _ = trainer_of(KDTrainer, config_of(name, kg_settings), *paths)
        assert second.resume() == 1
        for attribute in attributes:
            one, other = (getattr(trainer.model.student, attribute) for trainer in (first, second))
            assert torch.equal(*(value.to_dense() if value.is_sparse else value for value in (one, other)))


def test_constant_indices_are_not_stored(kg_settings, workdir):
    trainer, _ = trainer_of(
        ResumableTrainer, config_of("KGAT", kg_settings), workdir / "x.pth", 0, workdir / "x.resume"
    )
    trainer._write_resume_point(0)
    stored = torch.load(workdir / "x.resume", weights_only=True)["attributes"][""]
    assert not {"all_hs", "all_ts", "A_in"} & set(stored)


def test_a_model_with_its_recbole_trainer_is_resumed_and_leaves_snapshots(kg_settings, workdir):
    config = config_of("RecVAE", kg_settings)
    train(config, workdir / "x.pth", options=TrainingOptions(snapshots=Snapshots(workdir / "x.pth", 2)))
    marker = read_done_marker(workdir / "x.pth")
    assert marker["epochs"] == 3 and [epoch for epoch, _ in marker["valid_scores"]] == [0, 1, 2]
    assert len(list((workdir / "x.pth.states").glob("*.pth"))) == 2
    assert not (workdir / "x.pth.resume").exists()


def test_stages_before_the_last_one_are_not_resumable_and_no_students(kg_settings, workdir):
    for name, own in (("S3Rec", S3RecTrainer), ("RaCT", RaCTTrainer)):
        config = {"MODEL_TYPE": None, "model": name, "train_stage": "finetune"}
        assert issubclass(over_recbole_trainer(KDTrainer, config), own) and is_resumable(config)
        assert not is_resumable({**config, "train_stage": "pretrain"})
    keys = {"student_model": "RaCT", "teacher_model": "BPR", "dataset": "kg"}
    sentence = (
        "student_model=RaCT is distilled in its last stage: pre-train it in RecBole, and set train_stage=finetune"
    )
    for more in ({"train_stage": "actor_pretrain"}, {"train_stage": "finetune"}):
        with pytest.raises(KDError, match=sentence):
            make_config("SLD", config_dict={**kg_settings, **keys, **more})


def test_several_processes_are_refused_for_a_special_trainer():
    config = {"MODEL_TYPE": None, "model": "RecVAE"}
    with pytest.raises(KDError, match=r"RecVAE is trained by RecVAETrainer, .* leave nproc and world_size"):
        check_distributable(config)
