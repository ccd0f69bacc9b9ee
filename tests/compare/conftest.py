"""The plan of the tests and its comparison, which is trained once for all tests of the folder."""

import logging
import os

import pytest

from recbole_kd.compare.plan import make_plan
from recbole_kd.compare.scheduler import compare


@pytest.fixture(autouse=True)
def loud():
    """Enable logging again, which a comparison in this process disables."""
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="session")
def content(data_path):
    """A plan of two methods and two seeds on the small data."""
    keys = {
        "data_path": str(data_path),
        "epochs": 3,
        "train_batch_size": 128,
        "learning_rate": 0.01,
        "embedding_size": 4,
        "teacher": {"embedding_size": 12},
        "resume_interval": 0,
        "state": "ERROR",
    }
    methods = ["SLD", {"model": "RRD", "rrd_weight": 0.5, "name": "RRD, half"}]
    return {"datasets": ["toy"], "seeds": [1, 2], "methods": methods, "keys": keys, "alone": {"learning_rate": 0.02}}


@pytest.fixture(scope="session")
def done(content, tmp_path_factory):
    """The plan after its comparison in one process: (plan, summary)."""
    folder = tmp_path_factory.mktemp("compared")
    before = os.getcwd()
    os.chdir(folder)
    try:
        plan = make_plan({**content, "folder": str(folder / "serial")})
        return plan, compare(plan)
    finally:
        os.chdir(before)
        logging.disable(logging.NOTSET)
