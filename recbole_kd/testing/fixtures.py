"""A pytest plugin with the fixtures of the conformance suite.

Enable it in the ``conftest.py`` at the root of the tests::

    pytest_plugins = ["recbole_kd.testing.fixtures"]
"""

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.data import create_dataset, data_preparation
from recbole.quick_start import run_recbole
from recbole.trainer import Trainer
from recbole.utils import init_seed

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.config.configurator import ModelConfig, plain_config
from recbole_kd.config.model_names import class_name, is_model_path, resolve_model
from recbole_kd.testing.datasets import (
    write_dataset,
    write_gate_dataset,
    write_knowledge_dataset,
    write_sequence_dataset,
)
from recbole_kd.testing.isolation import protect_environment, remove_log_files, working_directory
from recbole_kd.testing.plain_recbole import PlainRecBoleProcess

Settings = dict[str, Any]
OWN_KEYS = ("teacher", "resume_interval")  # those of the settings that plain RecBole does not know


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark of the slow accuracy check."""
    config.addinivalue_line("markers", "gate: the slow accuracy check of a method, which -m gate runs")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the accuracy check unless ``-m`` names its mark: it takes minutes for each method."""
    if "gate" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("gate"):
                item.add_marker(pytest.mark.skip(reason="the accuracy check runs with -m gate"))


@pytest.fixture(autouse=True)
def restored_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test leaves CUDA_VISIBLE_DEVICES as it was."""
    protect_environment(monkeypatch)


@pytest.fixture(scope="session")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the datasets ``toy`` (60 users, 90 items), ``twice`` (twice as many of both), ``toy_seq`` (60
    users, 30 items, with features) and ``toy_kg`` (``toy`` with a knowledge graph).
    """
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, "toy")
    write_sequence_dataset(folder)
    write_knowledge_dataset(folder)
    return write_dataset(folder, "twice", users=120, items=180)


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory: RecBole writes ``log/`` and ``log_tensorboard/`` there."""
    monkeypatch.chdir(tmp_path)
    remove_log_files()
    return tmp_path


@pytest.fixture(scope="class")
def class_workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the tests of a class share. It is not the current directory."""
    return tmp_path_factory.mktemp("class")


@pytest.fixture(scope="session")
def small(data_path: Path) -> Callable[[Path], Settings]:
    """A function from a folder to the settings of a small run there: few epochs, small widths, no progress bar."""
    return lambda folder: {
        "dataset": "toy",
        "data_path": str(data_path),
        "epochs": 2,
        "train_batch_size": 128,
        "learning_rate": 0.01,
        "embedding_size": 4,
        "teacher": {"embedding_size": 12, "learning_rate": 0.01},
        "show_progress": False,
        "checkpoint_dir": str(folder / "saved"),
        "resume_interval": 0,
        "state": "WARNING",
    }


@pytest.fixture
def settings(small: Callable[[Path], Settings], workdir: Path) -> Settings:
    """The settings of a small run in the test's own folder, which is the current directory."""
    return small(workdir)


@pytest.fixture(scope="class")
def class_settings(small: Callable[[Path], Settings], class_workdir: Path) -> Settings:
    """The settings of a small run in the folder that the tests of a class share."""
    return small(class_workdir)


def _train_model_of_a_package(model: str, settings: Settings) -> dict[str, float]:
    """What ``run_recbole`` does, which finds RecBole's own models alone; returns the test metrics."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("sys.argv", ["pytest"])  # RecBole would read pytest's options as keys
        config = plain_config(ModelConfig(model, "toy", {}, settings))
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train, valid, test = data_preparation(config, dataset)
    init_seed(config["seed"] + config["local_rank"], config["reproducibility"])
    trainer = Trainer(config, resolve_model(model)(config, train._dataset).to(config["device"]))
    trainer.fit(train, valid, saved=True, show_progress=False)
    return trainer.evaluate(test, load_best_model=True, show_progress=False)


@pytest.fixture(scope="session")
def plain_training(
    small: Callable[[Path], Settings], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[dict[str, torch.Tensor], dict[str, float]]]:
    """A function that trains a model by RecBole's own ``run_recbole`` on the dataset ``toy``.

    It takes the name of the model and further settings, and returns the weights and the test metrics. Each training is
    done once in a session.
    """

    @functools.cache
    def train(model: str, keys: str) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
        with working_directory(tmp_path_factory.mktemp("plain")) as folder:
            settings = {key: value for key, value in small(folder).items() if key not in (*OWN_KEYS, "dataset")}
            settings |= json.loads(keys)
            if is_model_path(model):
                test_result = _train_model_of_a_package(model, settings)
            else:
                test_result = run_recbole(model=model, dataset="toy", config_dict=settings)["test_result"]
            file = next(Path(settings["checkpoint_dir"]).glob(f"{class_name(model)}-*.pth"))
            metrics = {name: float(value) for name, value in test_result.items()}
            return read_checkpoint(file)["state_dict"], metrics

    return lambda model, **keys: train(model, json.dumps(keys, sort_keys=True))


@pytest.fixture(scope="session")
def plain_recbole_process() -> Iterator[PlainRecBoleProcess]:
    """A process without recbole_kd; its ``load(file)`` returns ``loaded`` where a checkpoint loads there."""
    process = PlainRecBoleProcess()
    yield process
    process.close()


@pytest.fixture(scope="session")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of the accuracy checks: a teacher of width 64 over a student of width 4, trained for long."""
    folder = tmp_path_factory.mktemp("gate")
    write_gate_dataset(folder)
    return {
        "dataset": "gate",
        "data_path": str(folder),
        "epochs": 200,
        "train_batch_size": 1024,
        "learning_rate": 0.01,
        "embedding_size": 4,
        "teacher": {"embedding_size": 64, "learning_rate": 0.005},
        "show_progress": False,
        "checkpoint_dir": str(folder / "saved"),
        "state": "WARNING",
    }
