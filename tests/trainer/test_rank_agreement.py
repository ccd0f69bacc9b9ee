"""What the processes of a distributed training have to agree on, and what several processes cannot do."""

import pytest
import torch

from recbole_kd import experiment
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.distributed import process_group
from recbole_kd.distributed.launcher import _free_port, launch_processes
from recbole_kd.distributed.process_group import (
    ProcessInfo,
    join_group,
)
from recbole_kd.errors import KDError
from recbole_kd.experiment import Experiment, make_config
from recbole_kd.method.checks import check_distributable
from recbole_kd.method.distiller import Distiller
from recbole_kd.quick_start import objective_function, run_kd
from recbole_kd.teacher.provider import provide_teachers
from recbole_kd.term.nkd import NKD
from recbole_kd.trainer.cache_key import run_key
from recbole_kd.trainer.rank_agreement import (
    check_same_data,
    check_same_settings,
)
from recbole_kd.tune.tuner import tune
from tests.processes import forked_launches

CPU = torch.device("cpu")


def pair():
    """The positions of two processes on this machine."""
    address = f"tcp://localhost:{_free_port()}"
    return [ProcessInfo(rank, 2, rank, 2, address) for rank in (0, 1)]


@pytest.fixture
def here(monkeypatch):
    """Gives this process a rank in a group without other processes."""

    def be(rank, world=2):
        monkeypatch.setattr(process_group, "_current", ProcessInfo(rank, world, rank, world, ""))

    yield be
    monkeypatch.undo()


def unlike_settings(process, settings):
    config = make_config("SLD", config_dict={**settings, "learning_rate": (0.01, 0.1)[process.rank]})
    with join_group(process, CPU):
        check_same_settings(config)


def test_machines_of_other_settings_are_refused(settings, workdir):
    message = "learning_rate is 0.01 in process 0 and 0.1 in process 1"
    with pytest.raises(KDError, match=message), forked_launches():
        launch_processes(unlike_settings, pair(), (settings,))


def test_machines_of_other_files_and_folders_are_refused(settings, workdir, here, monkeypatch):
    config = make_config("SLD", config_dict=settings)
    data = prepare_split(plain_config(config))
    here(1, 2)
    monkeypatch.setattr("recbole_kd.trainer.rank_agreement.all_gather", lambda value: [value, "another"])
    with pytest.raises(KDError, match="files differ between the processes"):
        check_same_data(data)
    with pytest.raises(KDError, match=r"process 1 finds no teacher BPR in .*saved/teacher: all processes have to see"):
        provide_teachers(config, data)
    assert not list(workdir.rglob("*.pth"))


def test_a_term_that_cannot_be_distributed_is_refused_before_anything_starts(settings, workdir, monkeypatch):
    monkeypatch.setattr(NKD, "distributable", False)
    monkeypatch.setattr("recbole_kd.quick_start.launch_processes", None)
    with pytest.raises(KDError, match="NKD cannot be trained by several processes"):
        run_kd("MKD", config_dict={**settings, "nproc": 2})
    assert not list(workdir.rglob("*.pth"))
    check_distributable(make_config("SLD", config_dict=settings))


def test_searches_and_runs_of_recbole_refuse_several_processes(settings, workdir):
    keys = {**settings, "nproc": 2}
    with pytest.raises(KDError, match="nproc"):
        tune("MKD", config_dict=keys, trials=1)
    with pytest.raises(KDError, match="nproc"):
        objective_function({**keys, "model": "MKD"})
    stock = plain_config(make_config("MKD", config_dict=settings))
    stock["single_spec"] = False
    with pytest.raises(KDError, match="nproc"):
        Distiller(stock, None)
    assert not list(workdir.rglob("*.pth"))


def test_the_number_of_processes_is_part_of_the_students_name(settings, here, monkeypatch):
    config = make_config("SLD", config_dict=settings)
    data, files = prepare_split(plain_config(config)), []
    monkeypatch.setattr(Experiment, "_distil_to", lambda self, file, callback: files.append(file))
    monkeypatch.setattr(Experiment, "teachers_name", "teacher")
    monkeypatch.setattr(experiment, "read_trained", lambda file: None)
    monkeypatch.setattr(experiment, "load_weights", lambda *args: None)
    monkeypatch.setattr(experiment, "broadcast_object", lambda what=None: what)
    for world in (1, 2, 3):
        here(0, world)
        Experiment(config, data).distil()
    assert len(set(files)) == 3
    several = make_config("SLD", config_dict={**settings, "nproc": 2, "port": 5000, "ip": "first"})
    assert run_key(several, data.fingerprint) == run_key(config, data.fingerprint)  # where, not how many
