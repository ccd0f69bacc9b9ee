"""Start several processes that train together, and end them."""

import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
import torch.multiprocessing
from recbole.config import Config as RecBoleConfig
from torch import distributed

from recbole_kd.distributed.process_group import PeerLost, ProcessInfo
from recbole_kd.errors import KDError

DEFAULT_PORT = 5678  # RecBole's
GRACE_SECONDS = 3.0  # time for the other processes to report an error after one of them has failed

Answer = tuple[Any, Exception | None, str]
"""What a process reports: its result, its error, and the traceback of the error."""


def process_layout(config: RecBoleConfig) -> list[ProcessInfo]:
    """The processes on this machine that nproc, world_size, group_offset, ip and port describe.

    Under torchrun the environment describes them, and the list holds this process alone.

    Args:
        config: the Config of the run.

    Raises:
        KDError: the numbers do not match, or there are fewer GPUs than processes.
    """
    processes = [_layout_from_torchrun(config)] if started_by_torchrun() else _layout_from_keys(config)
    world_size, nproc = processes[0].world_size, processes[0].nproc
    if world_size > 1 and config["device"].type == "cuda" and torch.cuda.device_count() < nproc:
        raise KDError(
            f"{nproc} processes need as many GPUs, and gpu_id={config['gpu_id']} gives {torch.cuda.device_count()}: "
            "write --gpu_id=0,1 and so on, or --gpu_id= for the CPU"
        )
    return processes


def _layout_from_keys(config: RecBoleConfig) -> list[ProcessInfo]:
    nproc, first = config["nproc"], config["group_offset"]
    world_size = config["world_size"] if config["world_size"] > 0 else nproc
    if first + nproc > world_size:
        raise KDError(
            f"world_size={world_size} is out of range: {nproc} processes from rank {first} on need "
            f"{first + nproc} or more"
        )
    port = config["port"] or (_free_port() if nproc == world_size > 1 else DEFAULT_PORT)
    init_method = f"tcp://{config['ip']}:{port}"
    return [ProcessInfo(first + local, world_size, local, nproc, init_method) for local in range(nproc)]


def _check_address(init_method: str) -> None:
    """Refuse an address that this machine cannot resolve, at which the processes would wait in vain."""
    address = urlsplit(init_method)
    if address.scheme != "tcp":
        return
    try:
        socket.getaddrinfo(address.hostname, address.port)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no name of a machine"
        raise KDError(
            f"ip={address.hostname} cannot be resolved ({reason}): write the address of the machine with process 0, or "
            "leave ip out where all processes are on this machine"
        ) from error


def started_by_torchrun() -> bool:
    """Whether torchrun started this process."""
    return distributed.is_available() and distributed.is_torchelastic_launched()


def _layout_from_torchrun(config: RecBoleConfig) -> ProcessInfo:
    if config["nproc"] > 1 or config["world_size"] > 0:
        raise KDError("torchrun sets the number of processes: leave nproc and world_size out")
    rank, world_size, local_rank, nproc = (
        int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    )
    return ProcessInfo(rank, world_size, local_rank, nproc, "env://")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def launch_processes(target: Callable[..., Any], processes: Sequence[ProcessInfo], args: Sequence[Any]) -> Any:
    """Call ``target(process, *args)`` in a new process for each of ``processes``, and wait for all of them.

    Args:
        target: a function that can be pickled.
        processes: the processes on this machine.
        args: arguments that can be pickled.

    Returns:
        What rank 0 returned; None where rank 0 is on another machine.

    Raises:
        KDError: the address at which they meet cannot be resolved.
        ChildProcessError: a process was killed, or could not write its result.
        Exception: what one of the processes raised. The others are ended in either case.
    """
    _check_address(processes[0].init_method)
    with tempfile.TemporaryDirectory() as folder:
        started = torch.multiprocessing.start_processes(
            _run_process, (target, processes, args, folder), nprocs=len(processes), join=False, start_method="spawn"
        )
        try:
            _wait_for_exit(started.processes)
            codes = [process.exitcode for process in started.processes]  # before the others are ended
        finally:
            _terminate(started.processes)
        answers = [_read_answer(Path(folder) / str(process.rank)) for process in processes]
    _raise_failure(processes, codes, answers)
    return answers[0][0] if processes[0].rank == 0 else None


def _run_process(
    local_rank: int, target: Callable[..., Any], processes: Sequence[ProcessInfo], args: Sequence[Any], folder: str
) -> None:
    """The main function of a started process: call the target and write its Answer to a file."""
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    process = processes[local_rank]
    result: Any = None
    error: Exception | None = None
    trace = ""
    try:
        result = target(process, *args)
    except Exception as caught:
        error, trace = caught, traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # an exception whose constructor takes other arguments
            error = RuntimeError(f"{type(caught).__name__}: {caught}")
    try:
        (Path(folder) / str(process.rank)).write_bytes(pickle.dumps((result, error, trace)))
    except OSError:  # on a full disk, for example: the parent finds no answer, or an incomplete one
        sys.exit(1)
    if error:
        sys.exit(1)


def _exit_with_parent() -> None:
    # torch sends SIGINT then, which a process ignores where a shell has started it in the background
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _wait_for_exit(processes: Sequence[Any]) -> None:
    """Wait until all processes have succeeded or one has failed.

    After a failure the others get ``GRACE_SECONDS``: one of them may report the error that caused it.
    """
    running, deadline = {process.sentinel: process for process in processes}, None
    while running and (deadline is None or time.monotonic() < deadline):
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        for sentinel in multiprocessing.connection.wait(list(running), timeout):
            process = running.pop(sentinel)  # type: ignore[call-overload]
            process.join()
            if process.exitcode and deadline is None:
                deadline = time.monotonic() + GRACE_SECONDS


def _terminate(processes: Sequence[Any]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(10)
        if process.exitcode is None:
            process.kill()
            process.join()


def _read_answer(file: Path) -> Answer:
    try:
        return pickle.loads(file.read_bytes())
    except (OSError, EOFError, pickle.UnpicklingError):
        return None, None, ""


def _raise_failure(processes: Sequence[ProcessInfo], codes: Sequence[int | None], answers: Sequence[Answer]) -> None:
    """Raise the cause of a failure rather than a consequence: an error, then a killed process, then a lost peer."""
    world_size = processes[0].world_size
    errors = [(error, trace) for _, error, trace in answers if error is not None]
    errors.sort(key=lambda pair: isinstance(pair[0], PeerLost))
    killed = [(process.rank, -code) for process, code in zip(processes, codes, strict=True) if code and code < 0]
    if killed and all(isinstance(error, PeerLost) for error, _ in errors):
        rank, number = killed[0]
        raise ChildProcessError(
            f"process {rank} of {world_size} was killed ({signal.Signals(number).name}; too little memory for so many "
            "processes?): run the same command with --resume=True to continue"
        )
    if errors:
        error, trace = errors[0]
        raise error from RuntimeError(f"in a started process:\n{trace}")
    if any(codes):
        raise ChildProcessError(
            f"one of {world_size} processes ended without a result, exit codes {list(codes)}: check that there is room "
            f"for temporary files in {tempfile.gettempdir()}"
        )
