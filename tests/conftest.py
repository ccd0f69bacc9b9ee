"""A small synthetic dataset with structure, and a working directory of its own for every test."""

import logging
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import recbole_kd  # noqa: F401  (before anything of RecBole)

torch.set_num_threads(1)


def pytest_configure(config):
    """The tests run on a CPU, those of the mark ``gpu`` on a GPU: torch looks once for what the environment shows."""
    if config.option.markexpr == "gpu":
        if not torch.cuda.is_available():
            raise pytest.UsageError("the tests of the mark gpu need a GPU, and torch finds none")
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        assert not torch.cuda.is_available()


def write_dataset(folder, name, users=60, items=90, rank=3, seed=0, interactions=14):
    """Atomic files of a low-rank world: each user likes the items that a few hidden tastes point to."""
    draw = np.random.default_rng(seed)
    scores = draw.normal(size=(users, rank)) @ draw.normal(size=(rank, items)) + draw.gumbel(size=(users, items))
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user, row in enumerate(scores):
        lines += [f"u{user}\ti{item}\t{when}" for when, item in enumerate(np.argsort(-row)[:interactions])]
    (target / f"{name}.inter").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(autouse=True)
def environment_as_it_was(monkeypatch):
    """RecBole writes gpu_id into the environment, which the next test and its processes would read."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", os.environ["CUDA_VISIBLE_DEVICES"])


@pytest.fixture(scope="session")
def data_path(tmp_path_factory):
    """Where the datasets ``toy`` and ``twice`` (twice as large) lie."""
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, "toy")
    return write_dataset(folder, "twice", users=120, items=180)


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """An empty current directory: RecBole writes log/ and log_tensorboard/ there."""
    monkeypatch.chdir(tmp_path)
    for handler in logging.getLogger().handlers[:]:
        if isinstance(handler, logging.FileHandler):
            logging.getLogger().removeHandler(handler)
    return tmp_path


@pytest.fixture(scope="session")
def small(data_path):
    """What every small run is given, by its folder: few epochs, small widths, no progress bar."""
    return lambda folder: {
        "dataset": "toy", "data_path": str(data_path), "epochs": 2, "train_batch_size": 128, "learning_rate": 0.01,
        "embedding_size": 4, "teacher": {"embedding_size": 12, "learning_rate": 0.01}, "show_progress": False,
        "checkpoint_dir": str(folder / "saved"), "resume_interval": 0, "state": "WARNING",
    }  # fmt: skip


@pytest.fixture
def settings(small, workdir):
    """The same for a folder of the test's own."""
    return small(workdir)


# a plain RecBole in a process of its own: for each folder that it is given, it loads the student in x.pth
STRANGER = """
import os, sys, torch, numpy as np, scipy.sparse as sp
[setattr(np, n, getattr(np, n, t)) for n, t in
    (("float_", np.float64), ("complex_", np.complex128), ("unicode_", np.str_))]
if not hasattr(sp.dok_matrix, "_update"):
    sp.dok_matrix._update = lambda s, d: s._dict.update(d)
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, init_seed
for folder in sys.stdin:
    try:
        os.chdir(folder.strip())
        c = torch.load("x.pth", weights_only=False)
        config = c["config"]
        init_seed(config["seed"], True)
        data = data_preparation(config, create_dataset(config))
        model = get_model(config["model"])(config, data[0]._dataset)
        model.load_state_dict(c["state_dict"])
        assert not [m for m in sys.modules if m.startswith("recbole_kd")]
        answer = "loaded"
    except Exception as error:
        answer = repr(error)
    print("answer:", answer.replace("\\n", " "), flush=True)
"""


@pytest.fixture(scope="session")
def stranger():
    """A function that has a process where recbole_kd is not imported load ``x.pth`` in a folder; says what came out."""
    run = subprocess.Popen(
        [sys.executable, "-c", STRANGER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, cwd="/",
    )  # fmt: skip

    def ask(folder):
        print(folder, file=run.stdin, flush=True)
        return next(line[8:].strip() for line in run.stdout if line.startswith("answer: "))

    yield ask
    run.stdin.close()
    run.wait(30)


@pytest.fixture(scope="session")
def gate(tmp_path_factory):
    """The settings of the gate: a world of twelve tastes, a teacher that sees them all, a student of width 4."""
    folder = tmp_path_factory.mktemp("gate")
    draw = np.random.default_rng(0)
    users, items = draw.normal(size=(500, 12)), draw.normal(size=(300, 12))
    scores = 3.0 * users @ items.T / np.sqrt(12) + draw.gumbel(size=(500, 300)) + 0.5 * draw.normal(size=300)
    lines = [f"u{user}\ti{item}" for user, row in enumerate(scores) for item in np.argsort(-row)[:40]]
    (folder / "gate").mkdir()
    (folder / "gate" / "gate.inter").write_text("\n".join(["user_id:token\titem_id:token", *lines]) + "\n")
    return {
        "dataset": "gate", "data_path": str(folder), "epochs": 200, "train_batch_size": 1024, "learning_rate": 0.01,
        "embedding_size": 4, "teacher": {"embedding_size": 64, "learning_rate": 0.005}, "show_progress": False,
        "checkpoint_dir": str(folder / "saved"), "state": "WARNING",
    }  # fmt: skip
