"""DLLM2Rec: its ranking part against plain Python, and the student's item table while it is trained and after."""

import math

import pytest
import torch

from recbole_kd.backbone.item_table import plain_state
from recbole_kd.errors import KDError
from recbole_kd.experiment import Experiment, make_config
from recbole_kd.method.checks import check_split
from recbole_kd.method.registry import method_class
from recbole_kd.term.dllm2rec import DLLM2Rec
from recbole_kd.testing import toy
from recbole_kd.testing.conformance import Interrupted, InterruptedTrainer
from recbole_kd.testing.measures import same_weights
from recbole_kd.testing.toy import (
    D_S,
    ITEMS,
    ROWS,
    SEEN,
    USERS,
    assert_gradients_agree,
    best_unseen,
    chosen,
    dot,
    factors,
    numbers,
    once,
    replay,
)
from recbole_kd.trainer.kd_trainer import KDTrainer
from recbole_kd.trainer.model_builder import build_model, load_weights
from recbole_kd.trainer.options import TrainingFiles

KEYS = {
    "dllm2rec_weight": 0.8, "dllm2rec_ed_weight": 0.0, "dllm2rec_k": 3, "dllm2rec_gamma_position": 0.3,
    "dllm2rec_gamma_confidence": 0.5, "dllm2rec_gamma_consistency": 0.2, "dllm2rec_lambda": 1.5,
    "dllm2rec_negative": "paper",
}  # fmt: skip
DISTANCES = torch.rand(USERS + 1, ITEMS, generator=torch.Generator().manual_seed(5))


class World(toy.World):
    common = KEYS
    is_sure = True  # whether the teacher gives distances

    def make(self, kind, seed=1):
        self.knowledge.has_distances = self.is_sure
        self.knowledge.distances_of = lambda queries, k: DISTANCES[queries, :k]
        return super().make(kind, seed)


class UnsureWorld(World):
    is_sure = False


class Slow:
    """The loss in plain Python; the teacher's lists, the student's lists and the draws are those of the world."""

    def __init__(self, world, rows):
        self.world, self.keys = world, world.keys
        generator = replay(world.term)
        self.everyone = once(rows, 0)
        self.users = chosen(self.everyone, self.keys["kd_rows"], generator)
        draws = torch.rand(len(self.users), 1, generator=generator, dtype=torch.float64).flatten().tolist()
        table, student = factors(world.teacher), numbers(world.student, world.term)
        k = self.keys["dllm2rec_k"]
        self.lists = best_unseen(table["user"], table["item"], k)
        self.own = best_unseen(student["user"], student["item"], k)
        self.negatives = {}
        for user, number in zip(self.users, draws, strict=True):
            free = [item for item in range(1, ITEMS + 1) if item not in SEEN[user] and item not in self.lists[user]]
            self.negatives[user] = free[int(number * len(free))] if free else None

    def weights(self, user):
        keys, items = self.keys, self.lists[user]
        positions = [math.exp(-(rank + 1) / keys["dllm2rec_lambda"]) for rank in range(len(items))]
        surenesses = [math.exp(-float(DISTANCES[user, rank])) for rank in range(len(items))]
        raw = []
        for item, position, sureness in zip(items, positions, surenesses, strict=True):
            value = keys["dllm2rec_gamma_position"] * position / sum(positions)
            if self.world.is_sure:
                value += keys["dllm2rec_gamma_confidence"] * sureness / sum(surenesses)
            raw.append(value + keys["dllm2rec_gamma_consistency"] * (item in self.own[user]))
        return [value / sum(raw) for value in raw]

    def __call__(self, live, still):
        losses = []
        for user in self.users:
            loss = 0.0
            for item, weight in zip(self.lists[user], self.weights(user), strict=True):
                loss += weight * math.log(1 + math.exp(-dot(live["user"][user], live["item"][item])))
                if self.negatives[user] is not None:
                    negative = dot(live["user"][user], live["item"][self.negatives[user]])
                    negative -= 1 if self.keys["dllm2rec_negative"] == "code" else 0
                    loss += weight * math.log(1 + math.exp(negative))
            losses.append(loss)
        population = len(self.everyone) if self.keys["kd_reduction"] == "sum" else 1
        return math.fsum(losses) / len(losses) * population


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (World, {}),
        (UnsureWorld, {}),
        (World, {"dllm2rec_gamma_consistency": 0.0}),
        (World, {"dllm2rec_negative": "code", "kd_reduction": "sum"}),
        (World, {"kd_rows": 2, "dllm2rec_k": 2}),
    ],
)
def test_loss_and_gradient_are_those_of_the_slow_reference(kind, keys):
    world = kind(DLLM2Rec, **keys)
    slow = Slow(world, ROWS)
    state = numbers(world.student, world.term)
    start = replay(world.term)
    assert world.loss().item() == pytest.approx(slow(state, state), rel=1e-5)
    world.term.generator.set_state(start.get_state())
    assert_gradients_agree(world, slow)


def test_without_any_weight_of_entries_it_is_refused(settings):
    keys = {f"dllm2rec_gamma_{name}": 0 for name in ("position", "confidence", "consistency")}
    with pytest.raises(KDError, match="has to be above 0"):
        DLLM2Rec.check(make_config("DLLM2Rec", config_dict={**settings, **keys}))


def test_the_item_table_is_the_students_own_and_the_mapped_vectors():
    world = World(DLLM2Rec, dllm2rec_ed_weight=0.7)
    own = world.student.item_embedding.weight.detach().clone()
    world.term.attach(world.backbone)
    mapped = world.term.map.weight.tolist()
    table, vectors = world.student.item_embedding.weight.tolist(), factors(world.teacher)["item"]
    assert table[0] == own[0].tolist()  # padding
    for item in range(1, ITEMS + 1):
        for column in range(D_S):
            expected = float(own[item, column]) + 0.7 * dot(mapped[column], vectors[item])
            assert table[item][column] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_gradient_of_the_table_reaches_own_vectors_and_the_map():
    world = World(DLLM2Rec, dllm2rec_ed_weight=0.7)
    world.term.attach(world.backbone)
    own, mapped = world.student.item_embedding.parametrizations.weight.original, world.term.map.weight
    world.loss().backward()
    vectors = world.teacher.item_embedding.weight.detach().clone()
    vectors[0] = 0.0
    assert own.grad.any()
    assert torch.allclose(mapped.grad, 0.7 * own.grad.T @ vectors, atol=1e-6)


# a student of sequences

SEQUENCES = {
    "dataset": "toy_seq", "student_model": "GRU4Rec", "teacher_model": "SASRec", "MAX_ITEM_LIST_LENGTH": 6,
    "student": {"hidden_size": 8, "embedding_size": 6}, "teacher": {"hidden_size": 16, "inner_size": 16},
    "dllm2rec_k": 5, "valid_metric": "ndcg@10", "epochs": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def experiment(small, tmp_path_factory):
    """A function that gives an experiment with further keys; all have one teacher."""
    folder = tmp_path_factory.mktemp("sequences")
    settings = {key: value for key, value in small(folder).items() if key != "embedding_size"}

    def make(**keys):
        return Experiment(make_config("DLLM2Rec", config_dict={**settings, **SEQUENCES, **keys}))

    return make


def trainer_of(experiment, kind, folder):
    """A new trainer of the experiment's distilled student, and its loaders."""
    split = experiment.split.fresh(experiment.student_config)
    torch.manual_seed(1)
    model = method_class("DLLM2Rec")(experiment.config, split.train._dataset, experiment.knowledge)
    files = TrainingFiles(folder / "s.pth", folder / "s.resume", resume_interval=0)
    return kind(experiment.config, model, files), split


def test_what_is_saved_and_evaluated_is_the_student_that_was_trained(experiment, workdir):
    it = experiment(dllm2rec_ed_weight=0.5)
    trainer, split = trainer_of(it, KDTrainer, workdir)
    trainer.fit(split.train, split.valid)
    model, batch = trainer.model.eval(), next(iter(split.valid))[0]
    file = workdir / "whole.pth"
    trainer._save_checkpoint(2, saved_model_file=file)
    loaded = load_weights(it.student_config, split.train._dataset, file).eval()
    scores = model.full_sort_predict(batch)
    assert torch.equal(loaded.full_sort_predict(batch), scores)
    model.load_state_dict(torch.load(file, weights_only=False)["state_dict"])
    assert torch.equal(model.full_sort_predict(batch), scores)
    assert not any("parametrizations" in name for name in model.student.state_dict())


def test_the_map_is_trained_with_the_terms_and_the_student_has_its_plain_parameters(experiment, workdir):
    trainer, split = trainer_of(experiment(), KDTrainer, workdir)
    own, others = (group["params"] for group in trainer.optimizer.param_groups)
    mapped = trainer.model.terms[0].map.weight
    before = mapped.detach().clone()
    plain = build_model(experiment().student_config, split.train._dataset)
    assert [weight.shape for weight in own] == [weight.shape for weight in plain.parameters()]
    assert any(weight is mapped for weight in others)
    trainer._train_epoch(split.train, 0)
    assert not torch.equal(mapped, before)


def test_a_resumed_training_is_bit_equal(experiment, workdir):
    it, folders = experiment(), [workdir / name for name in ("whole", "cut")]
    for folder in folders:
        folder.mkdir()
    whole, split = trainer_of(it, KDTrainer, folders[0])
    whole.fit(split.train, split.valid)
    first, split = trainer_of(it, InterruptedTrainer, folders[1])
    with pytest.raises(Interrupted):
        first.fit(split.train, split.valid)
    second, split = trainer_of(it, KDTrainer, folders[1])
    assert second.resume() == 1
    second.fit(split.train, split.valid)
    assert same_weights(plain_state(whole.model.student), plain_state(second.model.student))


def test_without_weights_the_student_is_plain_recboles_to_the_bit(experiment, workdir):
    it = experiment(dllm2rec_weight=0.0, dllm2rec_ed_weight=0.0)
    it.train_side("method", workdir / "zero.pth")
    it.train_side("alone", workdir / "alone.pth")
    zero, alone = (torch.load(workdir / f"{name}.pth", weights_only=False) for name in ("zero", "alone"))
    assert same_weights(zero["state_dict"], alone["state_dict"])


def test_a_student_without_a_table_of_this_name_is_refused_before_any_training(experiment):
    keys = {"student_model": "FPMC", "student": {}, "dllm2rec_weight": 1.0}
    it = experiment(**keys)
    with pytest.raises(KDError, match=r"item_embedding.*FPMC.*dllm2rec_ed_weight=0"):
        check_split(it.config, it.split)
