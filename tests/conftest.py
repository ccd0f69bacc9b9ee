"""The fixtures come from the package's pytest plugin; here is what only our own tests need."""

import os
from collections.abc import Iterator

import psutil
import pytest
import torch

import recbole_kd  # noqa: F401  (before anything of RecBole)

pytest_plugins = ["recbole_kd.testing.fixtures"]

torch.set_num_threads(1)  # results are bit-equal for one number of threads, and workers share the cores


SLOW = [
    "test_runs.py",
    "test_ddp_trainer.py",
    "test_benchmarks.py",
    "test_resumable.py",
    "test_scheduler.py",
    "test_executor.py",
    "test_record.py",
    "test_quick_start.py",
    "test_launcher.py",
    "test_contributing.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow files first: a worker takes a file as a whole, and one that starts last leaves the others idle."""
    items.sort(key=lambda item: SLOW.index(item.path.name) if item.path.name in SLOW else len(SLOW))


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs, except for the tests marked ``gpu``: torch reads the environment once."""
    if config.option.markexpr == "gpu":
        if not torch.cuda.is_available():
            raise pytest.UsageError("the tests marked gpu need a GPU, and torch finds none")
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        assert not torch.cuda.is_available()


@pytest.fixture(autouse=True, scope="session")
def instant_cpu_usage() -> Iterator[None]:
    """RecBole measures the CPU's usage for a second at the end of each run, for its log."""
    measure = psutil.cpu_percent
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(psutil, "cpu_percent", lambda interval=None: measure())
        yield
