"""Which processes are started, and how their failures are reported."""

import multiprocessing
import resource
import time
import traceback

import pytest
import torch

from recbole_kd.distributed.launcher import _free_port, launch_processes, process_layout
from recbole_kd.distributed.process_group import (
    ProcessInfo,
    all_gather,
    broadcast_object,
    join_group,
)
from recbole_kd.errors import KDError
from recbole_kd.experiment import make_config
from tests.processes import forked_launches

CPU = torch.device("cpu")


def pair():
    """The positions of two processes on this machine."""
    address = f"tcp://localhost:{_free_port()}"
    return [ProcessInfo(rank, 2, rank, 2, address) for rank in (0, 1)]


def test_the_layout_follows_recboles_keys(settings):
    def layout(**keys):
        return process_layout(make_config("MKD", config_dict={**settings, **keys}))

    assert [(process.rank, process.world_size, process.local_rank) for process in layout()] == [(0, 1, 0)]
    assert [(process.rank, process.world_size, process.local_rank) for process in layout(nproc=2)] == [
        (0, 2, 0),
        (1, 2, 1),
    ]
    second = layout(nproc=2, world_size=4, group_offset=2, ip="first", port=7)
    assert [(process.rank, process.local_rank, process.init_method) for process in second] == [
        (2, 0, "tcp://first:7"),
        (3, 1, "tcp://first:7"),
    ]
    assert layout(nproc=2, world_size=4, ip="first")[0].init_method == "tcp://first:5678"
    assert layout(nproc=2)[0].init_method != layout(nproc=2)[0].init_method  # two runs on one machine do not meet
    for wrong in ({"nproc": 2, "world_size": 3, "group_offset": 2}, {"nproc": 2, "world_size": 1}):
        with pytest.raises(KDError, match="world_size"):
            layout(**wrong)
    for key in ("nproc", "world_size", "group_offset", "port"):
        with pytest.raises(KDError, match=key):
            layout(**{key: -2})


def test_torchrun_sets_the_layout(settings, monkeypatch):
    numbers = {"RANK": 3, "WORLD_SIZE": 4, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2, "TORCHELASTIC_RUN_ID": "x"}
    for name, value in numbers.items():
        monkeypatch.setenv(name, str(value))
    assert process_layout(make_config("MKD", config_dict=settings)) == [ProcessInfo(3, 4, 1, 2, "env://")]
    with pytest.raises(KDError, match="torchrun"):
        process_layout(make_config("MKD", config_dict={**settings, "nproc": 2}))


def test_fewer_gpus_than_processes_are_refused(settings, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    config = make_config("MKD", config_dict={**settings, "nproc": 2, "gpu_id": 0})
    config["device"] = torch.device("cuda")
    with pytest.raises(KDError, match=r"2 processes need as many GPUs, and gpu_id=0 gives 1.*gpu_id=0,1"):
        process_layout(config)


def fail(process):
    with join_group(process, CPU):
        if process.rank == 1:
            raise KDError("the fault of rank 1")
        broadcast_object("never taken")
        all_gather("never answered")


def test_the_error_of_one_process_ends_all_and_is_raised(workdir):
    with pytest.raises(KDError, match="the fault of rank 1"), forked_launches():
        launch_processes(fail, pair(), ())
    assert not multiprocessing.active_children()


def fail_late(process):
    """Rank 0 fails; the other process notices it before rank 0 has reported its error."""
    if process.rank == 0:
        format_exc = traceback.format_exc
        traceback.format_exc = lambda: (time.sleep(1.5), format_exc())[1]
    with join_group(process, CPU):
        if process.rank == 0:
            raise KDError("the fault of rank 0")
        all_gather("never answered")


def no_room(process):
    """Nothing can be written any more, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    return process.rank


def test_the_cause_is_raised_though_another_process_ends_first(workdir):
    with pytest.raises(KDError, match="the fault of rank 0"), forked_launches():
        launch_processes(fail_late, pair(), ())


def test_a_result_that_cannot_be_written_is_reported(workdir, capfd):
    with pytest.raises(
        ChildProcessError, match=r"ended without a result.*check that there is room for temporary files in"
    ):
        launch_processes(no_room, pair(), ())
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("ip", ["no-such-machine.invalid", "256.1.1.1", "a..b", "x" * 80])
def test_an_address_that_does_not_resolve_is_refused_at_once(ip):
    started = time.perf_counter()
    with pytest.raises(KDError, match=rf"ip={ip} cannot be resolved .*: write the address of the machine"):
        launch_processes(print, [ProcessInfo(rank, 2, rank, 2, f"tcp://{ip}:5678") for rank in (0, 1)], ())
    assert time.perf_counter() - started < 20
