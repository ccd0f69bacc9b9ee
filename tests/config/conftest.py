"""A working directory of its own for every test of the keys."""

import pytest


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
