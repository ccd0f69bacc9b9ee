"""The process group of a distributed training, and its collective operations."""

import datetime
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed

# rank 0 may train a teacher while the others wait; a process that dies is noticed at once, by its connections
GROUP_TIMEOUT = datetime.timedelta(days=7)
RENDEZVOUS_TIMEOUT = datetime.timedelta(minutes=10)  # for machines that are started by hand, one after the other
NOTICE_SECONDS = 5.0  # of waiting for the others, before it is said in the log
SHARED_FOLDER_HINT = "all processes have to see the same checkpoint_dir"


class PeerLost(ConnectionError):
    """Another process has ended, so that this one cannot continue."""


@dataclass(frozen=True)
class ProcessInfo:
    """The position of one process in the group.

    Attributes:
        rank: number of the process in the group, from 0.
        world_size: number of processes in the group.
        local_rank: number of the process on its machine, from 0.
        nproc: number of processes of the group on this machine.
        init_method: the address at which the processes find each other, as torch.distributed takes it.
    """

    rank: int
    world_size: int
    local_rank: int
    nproc: int
    init_method: str


_current: ProcessInfo | None = None


def current_process() -> ProcessInfo | None:
    """The position of this process in the group; None outside ``join_group``."""
    return _current


def process_count() -> int:
    """The number of processes that train together; 1 outside ``join_group``."""
    return _current.world_size if _current else 1


def process_rank() -> int:
    """The rank of this process; 0 outside ``join_group``. Rank 0 alone writes files."""
    return _current.rank if _current else 0


@contextmanager
def join_group(process: ProcessInfo, device: torch.device) -> Iterator[None]:
    """Be a member of the process group inside the block.

    Args:
        process: the position of this process.
        device: the CPU, or cuda, where each process has the GPU of its local rank.

    Raises:
        ConnectionError: the other processes cannot be found.
    """
    global _current
    if device.type == "cuda":
        torch.cuda.set_device(process.local_rank)
    _init_process_group(process, "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    _current = process
    try:
        yield
    finally:
        _current = None
        distributed.destroy_process_group()


def _init_process_group(process: ProcessInfo, backend: str) -> None:
    rank, world_size, init_method = process.rank, process.world_size, process.init_method
    try:
        with _notice_of_waiting(process):
            store, *_ = next(distributed.rendezvous(init_method, rank, world_size, timeout=RENDEZVOUS_TIMEOUT))
        store.set_timeout(GROUP_TIMEOUT)
        distributed.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=GROUP_TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise ConnectionError(
            f"process {rank} of {world_size} does not find the others at {init_method} ({_one_line(error)}): "
            "check ip and port, and that the port is free"
        ) from error


@contextmanager
def _notice_of_waiting(process: ProcessInfo) -> Iterator[None]:
    """Say in the log what is waited for, where the block takes more than seconds; once for each machine."""
    minutes = RENDEZVOUS_TIMEOUT.total_seconds() / 60
    message = (
        f"process {process.rank} of {process.world_size} waits for the others at {process.init_method}, for "
        f"{minutes:.0f} minutes at most: start them, or stop this and check ip and port"
    )
    timer = threading.Timer(NOTICE_SECONDS, logging.getLogger().warning, [message])
    timer.daemon = True
    if process.local_rank == 0:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:150]


@contextmanager
def _peer_lost() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # raised by gloo and nccl
        raise PeerLost(
            f"process {process_rank()} of {process_count()} lost the connection to the others ({_one_line(error)}): "
            "run the same command with --resume=True to continue"
        ) from error


def broadcast_object(value: Any = None) -> Any:
    """Give all processes the value of rank 0; the others wait for it.

    Args:
        value: any object that can be pickled; ignored in the other processes.

    Returns:
        The value of rank 0.
    """
    if process_count() == 1:
        return value
    values = [value]
    with _peer_lost():
        distributed.broadcast_object_list(values, 0, device=torch.device("cpu"))
    return values[0]


def all_gather(value: Any) -> list[Any]:
    """Give all processes the values of all processes, in the order of their ranks.

    Args:
        value: any object that can be pickled.
    """
    if process_count() == 1:
        return [value]
    values: list[Any] = [None] * process_count()
    with _peer_lost():
        distributed.all_gather_object(values, value)
    return values


@contextmanager
def rank0_first() -> Iterator[None]:
    """Let rank 0 execute the block before the others."""
    if process_rank() > 0:
        broadcast_object()
    yield
    if process_rank() == 0:
        broadcast_object()


def all_reduce_sum(values: torch.Tensor) -> torch.Tensor:
    """Replace a tensor by its sum over the processes, in place; returns it. Needs a process group."""
    with _peer_lost():
        distributed.all_reduce(values)
    return values


@torch.no_grad()
def broadcast_tensors(tensors: Sequence[torch.Tensor]) -> None:
    """Give floating-point tensors the values of rank 0, in place. Needs a process group."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    with _peer_lost():
        distributed.broadcast(flat, 0)
    for tensor, values in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(values.view_as(tensor))


@torch.no_grad()
def reduce_gradients(parameters: Iterable[torch.nn.Parameter], factor: float) -> None:
    """Replace each gradient by its sum over the processes times a factor.

    A gradient that is missing in some processes counts as zeros there. One that is missing in all processes stays
    None, so that the optimiser skips the parameter as it would in a single process.

    Args:
        parameters: the parameters, in the same order in all processes; those without ``requires_grad`` are skipped.
        factor: the factor of the sum.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    mask = trained[0].new_tensor([parameter.grad is not None for parameter in trained])
    gradients = [torch.zeros_like(p).view(-1) if p.grad is None else p.grad.reshape(-1) for p in trained]
    flat = all_reduce_sum(torch.cat([mask, *gradients]))
    counts, flat = flat[: len(trained)].tolist(), flat[len(trained) :].mul_(factor)
    sums = flat.split([parameter.numel() for parameter in trained])
    for parameter, count, gradient in zip(trained, counts, sums, strict=True):
        if not count:
            continue
        if parameter.grad is None:
            parameter.grad = gradient.view_as(parameter).clone()
        else:
            parameter.grad.copy_(gradient.view_as(parameter))
