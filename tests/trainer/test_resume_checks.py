"""A resume point is used only if the training can have written it; otherwise one sentence refuses it."""

import math

import numpy as np
import pytest
import torch

from recbole_kd.cli import main
from recbole_kd.errors import KDError
from recbole_kd.testing import ConformanceRun
from recbole_kd.trainer.kd_trainer import KDTrainer
from recbole_kd.trainer.options import TrainingFiles
from recbole_kd.trainer.resume_checks import DIGEST, check_resume_state, digest_of

SENTENCE = r"x\.pth\.resume' is damaged, or of another version of recbole_kd: remove it"


def unsealed(state):
    """A resume point as earlier versions wrote it, without a digest."""
    return without(without(state, DIGEST), "other_optimizers")


def put(state, value, *path):
    """A copy of nested dicts with another value at a path."""
    return {**state, path[0]: put(state[path[0]], value, *path[1:]) if path[1:] else value}


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


@pytest.fixture
def point(settings, workdir):
    """A trainer that has trained for an epoch, and the resume point before its second one."""
    bench = ConformanceRun("MKD", settings)
    trainer = KDTrainer(bench.config, bench.model(), TrainingFiles(workdir / "x.pth", workdir / "x.pth.resume", 0.0))
    trainer.fit(bench.data.train, bench.data.valid)
    return trainer, torch.load(trainer.files.resume_point, weights_only=True)


def refused(trainer, state):
    torch.save(state, trainer.files.resume_point)
    with pytest.raises(KDError, match=SENTENCE):
        trainer.resume()


def test_a_resume_point_is_accepted_as_it_was_written(point):
    trainer, state = point
    check_resume_state(state, trainer)
    assert trainer.resume() == state["epoch"] == 1
    assert trainer.train_loss_dict.keys() == {0}


def test_a_tampered_resume_point_names_no_file(point):
    trainer, state = point
    state = unsealed(state)
    refused(trainer, put(state, "/precious", "counters", "saved_model_file"))
    assert trainer.saved_model_file == str(trainer.files.checkpoint)


def tampered(state):
    """Resume points with one wrong entry each."""
    weight = "student.user_embedding.weight"
    vectors = state["model"][weight]
    for epoch in (10**9, 2, -1, 1.0, True, None, "1"):
        yield put(state, epoch, "epoch")
    for name, values in {
        "cur_step": (10**6, -1, 0.0, "0", None),
        "best_valid_score": (0.9, "0.9", None, math.nan),
        "best_valid_result": ({"ndcg@10": "x"}, {1: 0.5}, [], "x"),
        "train_loss_dict": ({0: "x"}, {7: 0.5}, {"0": 0.5}, {-1: 0.5}, []),
        "valid_scores": ({0: None}, {1: 0.5}, [], None),
        "seconds": (-1.0, math.inf, math.nan, "1", None),
        "history": ([], {"x": 1}, {"x": [[0]]}, {"x": [["0", 1.0]]}, {1: []}),
    }.items():
        yield from (put(state, value, "counters", name) for value in values)
        yield {**state, "counters": without(state["counters"], name)}
    for tensor in (vectors.double(), vectors[:-1], vectors.T, vectors.to_sparse(), vectors * math.nan, [1.0], None):
        yield put(state, tensor, "model", weight)
    yield put(state, torch.zeros(1), "model", "student.other")
    yield put(state, [], "model", "terms.0._extra_state")
    for name, value in {"calculate_loss": 1, "n_users": "9", "_modules": 1, "training": 2, "user_embedding": 1}.items():
        yield put(state, value, "attributes", "student", name)
    yield put(state, {"n_users": 3}, "attributes", "nowhere")
    yield put(
        state, [{**group, "lr": 9.0} for group in state["optimizer"]["param_groups"]], "optimizer", "param_groups"
    )
    moments = state["optimizer"]["state"][0]
    for name, value in {"step": -1.0, "exp_avg": vectors[:1], "exp_avg_sq": -1.0 - vectors.abs(), "file": "x"}.items():
        yield put(state, {**moments, name: value}, "optimizer", "state", 0)
    for name in state:
        yield without(state, name)
        yield {**state, name: None}
    yield {**state, "more": 1}


def test_whatever_entry_is_tampered_with_one_sentence_refuses_it(point):
    trainer, state = point
    states = list(tampered(unsealed(state)))
    assert len(states) > 80
    for other in states:
        refused(trainer, other)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("numpy", ("MT19937", [0] * 624, 10**6, 0, 0.0)),
        ("numpy", ("MT19937", [0] * 3, 0, 0, 0.0)),
        ("python", (3, (1, 2), None)),
        ("torch", torch.zeros(3, dtype=torch.uint8)),
        ("loaders", [None]),
        ("loaders", [None, None, None]),
        ("cuda", [torch.zeros(3, dtype=torch.uint8)]),
    ],
)
def test_damaged_states_of_generators_are_refused_before_the_training(name, value, point):
    trainer, state = point
    before = np.random.get_state()[1].tolist()
    torch.save({**unsealed(state), name: value}, trainer.files.resume_point)
    assert trainer.resume() == 1
    with pytest.raises(KDError, match=SENTENCE):
        trainer.fit([], [])
    np.random.set_state(("MT19937", before, 624, 0, 0.0))


def test_a_value_within_its_range_is_still_noticed(point):
    trainer, state = point
    weights = state["model"]["student.user_embedding.weight"]
    refused(trainer, put(state, 1.5 * weights, "model", "student.user_embedding.weight"))
    refused(trainer, put(state, state["counters"]["seconds"] + 1.0, "counters", "seconds"))
    assert state[DIGEST] == digest_of(state)
    refused(trainer, without(state, DIGEST))


def test_one_flipped_bit_is_noticed(point):
    trainer, _ = point
    content = bytearray(trainer.files.resume_point.read_bytes())
    for position in range(len(content) // 10, len(content) * 9 // 10, len(content) // 9):
        flipped = bytearray(content)
        flipped[position] ^= 4
        trainer.files.resume_point.write_bytes(flipped)
        with pytest.raises(KDError, match=SENTENCE):
            trainer.resume()


def test_the_command_line_ends_with_2(settings, workdir):
    argv = ["--model=MKD", "--checkpoint_dir=saved", "--teacher.embedding_size=12", "--resume=True"]
    keys = ("epochs", "train_batch_size", "learning_rate", "embedding_size", "data_path", "show_progress", "dataset")
    argv += [f"--{key}={settings[key]}" for key in keys]
    assert main(argv) == 0
    (student,) = (workdir / "saved").glob("BPR-toy-MKD-*.pth")
    (student.parent / f"{student.name}.json").unlink()
    torch.save({"epoch": 10**9, "counters": {"saved_model_file": "precious"}}, f"{student}.resume")
    (workdir / "precious").write_text("kept")
    content = student.read_bytes()
    assert main(argv) == 2
    assert (workdir / "precious").read_text() == "kept" and student.read_bytes() == content
