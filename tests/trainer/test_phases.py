"""The phases of an epoch: their losses by name, and the terms in the recommendation loss alone."""

import numpy as np
import pytest
import torch
from recbole.model.knowledge_aware_recommender import KGAT

from recbole_kd.errors import NonFiniteLoss
from recbole_kd.testing import same_weights
from recbole_kd.trainer.kd_trainer import KDTrainer
from recbole_kd.trainer.phases import PhaseLosses, merge_phases
from tests.trainer.special_trainers import config_of, trainer_of


def test_phases_are_added_by_name():
    phase = PhaseLosses(base=1.0, SLD=0.5)
    assert 0.0 + phase == phase and phase + PhaseLosses(base=2.0, kg=4.0) == {"base": 3.0, "SLD": 0.5, "kg": 4.0}
    assert merge_phases((phase, PhaseLosses(kg=4.0))) == {"base": 1.0, "SLD": 0.5, "kg": 4.0}
    assert merge_phases((phase, 0.0)) == merge_phases(phase) == phase


@pytest.mark.parametrize("name", ["CKE", "KTUP", "MKR", "KGAT", "RecVAE", "NCL"])
def test_every_trainer_trains_the_terms_and_names_the_losses(name, kg_settings, workdir, caplog):
    trainer, data = trainer_of(KDTrainer, config_of(name, kg_settings, epochs=2), workdir / "x.pth", weight=0.5)
    tags = []
    trainer.tensorboard.add_scalar = lambda tag, value, epoch: tags.append((epoch, tag))
    with caplog.at_level("INFO"):
        trainer.fit(data.train, data.valid)
    assert (trainer.model.terms[0].value < 1).all()
    own, kg = {"base", "Pull"}, {"kg"}
    phases = {"KTUP": (own, kg), "MKR": (own | kg, own), "KGAT": (own | kg, own | kg)}.get(name, (own, own))
    for epoch, names in enumerate(phases):
        assert {tag for when, tag in tags if when == epoch and tag.startswith("Loss")} == {
            f"Loss/Train/{loss}" for loss in names
        }
        (line,) = [text for text in caplog.messages if f"epoch {epoch} training" in text]
        assert all(f"{loss} loss" in line for loss in names)
    assert len(trainer.train_loss_dict) == 2 and all(np.isfinite(list(trainer.train_loss_dict.values())))


def test_the_terms_do_not_join_the_loss_of_the_knowledge_graph(kg_settings, workdir):
    config = config_of("KTUP", kg_settings, train_rec_step=0, train_kg_step=1)
    states = []
    for weight in (0.0, 100.0):
        trainer, data = trainer_of(KDTrainer, config, workdir / "x.pth", weight)
        trainer.fit(data.train, data.valid)
        states.append(trainer.model.student.state_dict())
        assert (trainer.model.terms[0].value == 1).all()
    assert same_weights(*states)


def test_ncl_leaves_out_its_own_last_part_while_it_warms_up_and_no_term(kg_settings, workdir):
    states = []
    for keys in ({"warm_up_step": 5}, {"warm_up_step": 5, "proto_reg": 9.0}, {"warm_up_step": 0, "proto_reg": 9.0}):
        trainer, data = trainer_of(KDTrainer, config_of("NCL", kg_settings, **keys), workdir / "x.pth", 0.5)
        trainer.fit(data.train, data.valid)
        assert (trainer.model.terms[0].value < 1).all()
        states.append(trainer.model.student.state_dict())
    assert same_weights(states[0], states[1]) and not same_weights(states[1], states[2])


def test_the_progress_bar_shows_each_phase(kg_settings, workdir, capsys):
    trainer, data = trainer_of(KDTrainer, config_of("KGAT", kg_settings, epochs=1), workdir / "x.pth", 0.5)
    trainer.fit(data.train, data.valid, show_progress=True)
    bar = capsys.readouterr().err
    assert bar.count("Train     0") >= 2 and "Pull=" in bar


def test_a_loss_that_is_not_finite_is_named_by_its_phase(kg_settings, workdir, monkeypatch):
    monkeypatch.setattr(KGAT, "calculate_kg_loss", lambda model, _: torch.tensor(torch.nan))
    monkeypatch.setattr(KGAT.calculate_kg_loss, "__name__", "calculate_kg_loss")
    trainer, data = trainer_of(KDTrainer, config_of("KGAT", kg_settings), workdir / "x.pth")
    with pytest.raises(NonFiniteLoss, match="the kg loss is not finite at epoch 0, step"):
        trainer.fit(data.train, data.valid)
