"""Small trained models, each a checkpoint that plain RecBole wrote."""

import sys

import pytest

from tests.serving.conftest_serving import FAMILIES, train_checkpoint


@pytest.fixture(scope="session")
def uneven(tmp_path_factory):
    """A folder with the dataset ``uneven``: 40 users of different length; u40 and u41 have no test item."""
    from tests.serving.conftest_serving import write_uneven

    return write_uneven(tmp_path_factory.mktemp("uneven"))


@pytest.fixture(scope="session")
def checkpoint(uneven, tmp_path_factory):
    """A function that gives the checkpoint of a model on ``uneven``, trained once."""
    folder = tmp_path_factory.mktemp("checkpoints")
    files = {}

    def get(name):
        if name not in files:
            files[name] = train_checkpoint(name, FAMILIES[name], uneven, folder)
        return files[name]

    return get


@pytest.fixture(scope="session")
def recommender(checkpoint):
    """A function that gives the Recommender of a model on ``uneven``, loaded once."""
    from recbole_kd.serving import Recommender

    opened = {}

    def get(name):
        if name not in opened:
            argv, sys.argv = sys.argv, sys.argv[:1]  # RecBole reads the command line of whoever calls it
            try:
                opened[name] = Recommender(checkpoint(name))
            finally:
                sys.argv = argv
        return opened[name]

    return get
