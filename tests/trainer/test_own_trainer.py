"""Our trainers over RecBole's special ones: the student's own training stays RecBole's, and can be resumed."""

import numpy as np
import pytest
import torch
from recbole.data.dataset import KnowledgeBasedDataset
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.model.general_recommender import NCL
from recbole.model.knowledge_aware_recommender import KGAT
from recbole.quick_start import run_recbole
from recbole.trainer import (
    KGATTrainer,
    KGTrainer,
    MKRTrainer,
    NCLTrainer,
    RaCTTrainer,
    RecVAETrainer,
    S3RecTrainer,
    Trainer,
)
from recbole.utils import init_seed
from torch import nn

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.config.configurator import ModelConfig, plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.errors import KDError, NonFiniteLoss
from recbole_kd.experiment import make_config
from recbole_kd.method.checks import check_distributable
from recbole_kd.method.distiller import Distiller
from recbole_kd.testing import same_weights
from recbole_kd.trainer.kd_trainer import KDTrainer
from recbole_kd.trainer.model_builder import build_model
from recbole_kd.trainer.options import TrainingFiles, TrainingOptions
from recbole_kd.trainer.own_trainer import is_resumable, over_own_trainer, own_trainer
from recbole_kd.trainer.phases import PhaseTrainer
from recbole_kd.trainer.resumable import ResumableTrainer
from recbole_kd.trainer.snapshots import Snapshots
from recbole_kd.trainer.training import read_done_marker, train

USERS, ITEMS, ENTITIES = 30, 40, 55
WIDTHS = {"embedding_size": 4, "kg_embedding_size": 4}
VAE = {"hidden_dimension": 8, "latent_dimension": 4, "train_batch_size": 8}
MODELS = {
    "BPR": {"embedding_size": 4},
    "CKE": WIDTHS,
    "KTUP": {"embedding_size": 4, "train_rec_step": 1, "train_kg_step": 1},
    "MKR": {**WIDTHS, "kge_interval": 2},
    "KGAT": {**WIDTHS, "layers": [4]},
    "RecVAE": {**VAE, "n_enc_epochs": 2, "n_dec_epochs": 2},
    "NCL": {"embedding_size": 4, "num_clusters": 3, "m_step": 2, "warm_up_step": 1, "proto_reg": 0.1},
}
OWN = {"CKE": KGTrainer, "KTUP": KGTrainer, "MKR": MKRTrainer, "KGAT": KGATTrainer, "NCL": NCLTrainer}
OWN |= {"RecVAE": RecVAETrainer, "BPR": Trainer}


@pytest.fixture(scope="module")
def kg_path(tmp_path_factory):
    """A dataset with a knowledge graph: an item of a hidden taste is linked to the entities of that taste."""
    folder, rng = tmp_path_factory.mktemp("kg"), np.random.default_rng(0)
    scores = rng.normal(size=(USERS, 3)) @ rng.normal(size=(3, ITEMS)) + rng.gumbel(size=(USERS, ITEMS))
    pairs = [f"u{user}\ti{item}" for user, row in enumerate(scores) for item in np.argsort(-row)[:10]]
    links = [f"i{item}\te{item}" for item in range(ITEMS)]
    triples = {(rng.integers(ENTITIES), rng.integers(3), rng.integers(ENTITIES)) for _ in range(150)}
    edges = [f"e{head}\tr{relation}\te{tail}" for head, relation, tail in sorted(triples)]
    (folder / "kg").mkdir()
    for kind, header, rows in (
        ("inter", "user_id:token\titem_id:token", pairs),
        ("link", "item_id:token\tentity_id:token", links),
        ("kg", "head_id:token\trelation_id:token\ttail_id:token", edges),
    ):
        (folder / "kg" / f"kg.{kind}").write_text("\n".join([header, *rows]) + "\n")
    return folder


@pytest.fixture(autouse=True)
def without_missing_packages(monkeypatch):
    """KGAT makes its first matrix with dgl, NCL its clusters with faiss; here by a few lines each."""

    def clusters(model, table):
        centres = table[:: len(table) // model.k][: model.k]
        nearest = ((table[:, None] - centres) ** 2).sum(-1).argmin(1)
        return nn.functional.normalize(torch.tensor(centres), dim=1), torch.tensor(nearest)

    def graph(model):
        size = len(model.all_hs)
        indices = torch.stack([model.all_hs, model.all_ts])
        values = torch.arange(1, size + 1) / size
        return torch.sparse_coo_tensor(indices, values, model.matrix_size, check_invariants=True).coalesce()

    ckg_graph = KnowledgeBasedDataset.ckg_graph
    monkeypatch.setattr(NCL, "run_kmeans", clusters)
    monkeypatch.setattr(KGAT, "init_graph", graph)
    monkeypatch.setattr(
        KnowledgeBasedDataset,
        "ckg_graph",
        lambda data, form="coo", value_field=None: ckg_graph(data, "coo", value_field),
    )
    monkeypatch.setattr("sys.argv", ["pytest"])  # RecBole would read pytest's options as keys


@pytest.fixture
def settings(kg_path, workdir):
    return {
        "data_path": str(kg_path),
        "epochs": 3,
        "train_batch_size": 64,
        "learning_rate": 0.05,
        "load_col": {
            "inter": ["user_id", "item_id"],
            "link": ["item_id", "entity_id"],
            "kg": ["head_id", "relation_id", "tail_id"],
        },
        "show_progress": False,
        "checkpoint_dir": str(workdir / "saved"),
        "state": "WARNING",
    }


class Pull(nn.Module):
    """A term with a parameter of its own, which its loss pulls to 0, and the student's first weight along with it."""

    last_phase = 0

    def __init__(self, weight):
        super().__init__()
        self.weight, self.started = weight, []
        self.value = nn.Parameter(torch.ones(3))

    def start_epoch(self, epoch, backbone):
        self.started.append(epoch)

    def progress(self):
        return {}


class StubDistiller(Distiller):
    """A Distiller without a teacher: any model can be its student."""

    def __init__(self, config, dataset, weight):
        GeneralRecommender.__init__(self, config, dataset)
        self.config, self.student, self.backbone = config, build_model(config, dataset), None
        self.terms, self.losses = nn.ModuleList([Pull(weight)]), {}

    def calculate_loss(self, interaction, **kwargs):
        (term,) = self.terms
        pull = term.value.square().sum() + next(self.student.parameters()).square().sum()
        losses = {"base": self.own_loss(interaction, **kwargs), "Pull": term.weight * pull}
        self.losses = {name: loss.detach() for name, loss in losses.items()}
        return tuple(losses.values())


def config_of(name, settings, **keys):
    return plain_config(ModelConfig(name, "kg", {}, {**settings, **MODELS.get(name, {}), **keys}))


def trainer_of(kind, config, file, weight=0.0, resume_point=None):
    """A trainer, of a StubDistiller for a KDTrainer, and the data for it."""
    data = prepare_split(config)
    init_seed(config["seed"], config["reproducibility"])
    dataset = data.train._dataset
    is_kd = issubclass(kind, KDTrainer)
    model = StubDistiller(config, dataset, weight) if is_kd else build_model(config, dataset)
    files = TrainingFiles(file, resume_point, resume_interval=0)
    return (kind if is_kd else over_own_trainer(kind, config))(config, model, files), data


def interrupted(kind):
    class Interrupted(kind):
        """Stops in the second epoch after its second step."""

        def _check_nan(self, loss):
            if self.epoch == 1 and self.step == 2:
                raise InterruptedError
            super()._check_nan(loss)

    return Interrupted


@pytest.mark.parametrize("name", MODELS)
def test_the_class_is_ours_over_the_models_own(name, settings):
    config = config_of(name, settings)
    assert own_trainer(config) is OWN[name] and is_resumable(config)
    for ours in (ResumableTrainer, KDTrainer):
        kind = over_own_trainer(ours, config)
        assert issubclass(kind, ours) and issubclass(kind, OWN[name]) and kind is over_own_trainer(ours, config)
    order = [entry for entry in kind.__mro__ if entry in (KDTrainer, ResumableTrainer, OWN[name], PhaseTrainer)]
    if name != "BPR":
        assert order == [KDTrainer, ResumableTrainer, OWN[name], PhaseTrainer]
    expected = {KGTrainer: "KDKGTrainer", RecVAETrainer: "KDRecVAETrainer", Trainer: "KDTrainer"}
    assert kind.__name__ == expected.get(OWN[name], f"KD{OWN[name].__name__}")


@pytest.mark.parametrize("name", MODELS)
def test_weight_0_is_bit_equal_to_plain_recbole(name, settings, workdir, monkeypatch):
    # it predicts a row before the training, for which KTUP draws noise
    monkeypatch.setattr("recbole.quick_start.quick_start.get_flops", lambda *args, **kwargs: 0)
    run_recbole(model=name, dataset="kg", config_dict={**settings, **MODELS[name]})
    (file,) = (workdir / "saved").glob(f"{name}-*.pth")
    config = config_of(name, settings)
    trainer, data = trainer_of(KDTrainer, config, workdir / "x.pth")
    trainer.fit(data.train, data.valid, show_progress=False)
    plain, distilled = read_checkpoint(file), read_checkpoint(workdir / "x.pth")
    assert plain["epoch"] == distilled["epoch"]
    assert same_weights(plain["state_dict"], distilled["state_dict"])
    assert float(plain["best_valid_score"]) == distilled["best_valid_score"]
    assert trainer.model.terms[0].started == [0, 1, 2]
    initial = build_model(config, data.train._dataset).state_dict()
    assert not same_weights(initial, distilled["state_dict"])


@pytest.mark.parametrize("kind", [ResumableTrainer, KDTrainer])
@pytest.mark.parametrize("name", [name for name in MODELS if name != "BPR"])
def test_resume_is_bit_equal(name, kind, settings, workdir):
    config = config_of(name, settings)
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


def test_what_is_kept_outside_the_state_dict_is_restored(settings, workdir):
    for name, attributes in {"KGAT": ["A_in"], "NCL": ["user_centroids", "user_2cluster", "item_2cluster"]}.items():
        paths = (workdir / f"{name}.pth", 0.0, workdir / f"{name}.resume")
        first, data = trainer_of(KDTrainer, config_of(name, settings, epochs=1), *paths)
        first.fit(data.train, data.valid)
        first._last_resume_point = None
        first._write_resume_point(1)
        second, _ = trainer_of(KDTrainer, config_of(name, settings), *paths)
        assert second.resume() == 1
        for attribute in attributes:
            one, other = (getattr(trainer.model.student, attribute) for trainer in (first, second))
            assert torch.equal(*(value.to_dense() if value.is_sparse else value for value in (one, other)))


def test_constant_indices_are_not_stored(settings, workdir):
    trainer, _ = trainer_of(ResumableTrainer, config_of("KGAT", settings), workdir / "x.pth", 0, workdir / "x.resume")
    trainer._write_resume_point(0)
    stored = torch.load(workdir / "x.resume", weights_only=True)["attributes"][""]
    assert not {"all_hs", "all_ts", "A_in"} & set(stored)


@pytest.mark.parametrize("name", ["CKE", "KTUP", "MKR", "KGAT", "RecVAE", "NCL"])
def test_every_trainer_trains_the_terms_and_names_the_losses(name, settings, workdir, caplog):
    trainer, data = trainer_of(KDTrainer, config_of(name, settings, epochs=2), workdir / "x.pth", weight=0.5)
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


def test_the_terms_do_not_join_the_loss_of_the_knowledge_graph(settings, workdir):
    config = config_of("KTUP", settings, train_rec_step=0, train_kg_step=1)
    states = []
    for weight in (0.0, 100.0):
        trainer, data = trainer_of(KDTrainer, config, workdir / "x.pth", weight)
        trainer.fit(data.train, data.valid)
        states.append(trainer.model.student.state_dict())
        assert (trainer.model.terms[0].value == 1).all()
    assert same_weights(*states)


def test_ncl_leaves_out_its_own_last_part_while_it_warms_up_and_no_term(settings, workdir):
    states = []
    for keys in ({"warm_up_step": 5}, {"warm_up_step": 5, "proto_reg": 9.0}, {"warm_up_step": 0, "proto_reg": 9.0}):
        trainer, data = trainer_of(KDTrainer, config_of("NCL", settings, **keys), workdir / "x.pth", 0.5)
        trainer.fit(data.train, data.valid)
        assert (trainer.model.terms[0].value < 1).all()
        states.append(trainer.model.student.state_dict())
    assert same_weights(states[0], states[1]) and not same_weights(states[1], states[2])


def test_the_progress_bar_shows_each_phase(settings, workdir, capsys):
    trainer, data = trainer_of(KDTrainer, config_of("KGAT", settings, epochs=1), workdir / "x.pth", 0.5)
    trainer.fit(data.train, data.valid, show_progress=True)
    bar = capsys.readouterr().err
    assert bar.count("Train     0") >= 2 and "Pull=" in bar


def test_a_loss_that_is_not_finite_is_named_by_its_phase(settings, workdir, monkeypatch):
    monkeypatch.setattr(KGAT, "calculate_kg_loss", lambda model, _: torch.tensor(torch.nan))
    monkeypatch.setattr(KGAT.calculate_kg_loss, "__name__", "calculate_kg_loss")
    trainer, data = trainer_of(KDTrainer, config_of("KGAT", settings), workdir / "x.pth")
    with pytest.raises(NonFiniteLoss, match="the kg loss is not finite at epoch 0, step"):
        trainer.fit(data.train, data.valid)


def test_a_model_with_its_own_trainer_is_resumed_and_leaves_snapshots(settings, workdir):
    config = config_of("RecVAE", settings)
    train(config, workdir / "x.pth", options=TrainingOptions(snapshots=Snapshots(workdir / "x.pth", 2)))
    marker = read_done_marker(workdir / "x.pth")
    assert marker["epochs"] == 3 and [epoch for epoch, _ in marker["valid_scores"]] == [0, 1, 2]
    assert len(list((workdir / "x.pth.states").glob("*.pth"))) == 2
    assert not (workdir / "x.pth.resume").exists()


def test_stages_before_the_last_one_are_not_resumable_and_no_students(settings, workdir):
    for name, own in (("S3Rec", S3RecTrainer), ("RaCT", RaCTTrainer)):
        config = {"MODEL_TYPE": None, "model": name, "train_stage": "finetune"}
        assert issubclass(over_own_trainer(KDTrainer, config), own) and is_resumable(config)
        assert not is_resumable({**config, "train_stage": "pretrain"})
    keys = {"student_model": "RaCT", "teacher_model": "BPR", "dataset": "kg"}
    sentence = (
        "student_model=RaCT is distilled in its last stage: pre-train it in RecBole, and set train_stage=finetune"
    )
    for more in ({"train_stage": "actor_pretrain"}, {"train_stage": "finetune"}):
        with pytest.raises(KDError, match=sentence):
            make_config("SLD", config_dict={**settings, **keys, **more})


def test_several_processes_are_refused_for_a_special_trainer():
    config = {"MODEL_TYPE": None, "model": "RecVAE"}
    with pytest.raises(KDError, match=r"RecVAE has a trainer of its own, RecVAETrainer, .* leave nproc and world_size"):
        check_distributable(config)
