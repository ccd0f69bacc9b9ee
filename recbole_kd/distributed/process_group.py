"""The process group of a distributed training, and its collectives."""

import datetime
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

# the first process may train a teacher while the others wait; one that dies is noticed at once, by its connections
GROUP_TIMEOUT = datetime.timedelta(days=7)
RENDEZVOUS_TIMEOUT = datetime.timedelta(minutes=10)  # what machines that are started by hand may be apart
SHARED_FOLDER_HINT = "all processes have to see the same checkpoint_dir"


class PeerLost(ConnectionError):
    """Another process has ended, so that this one cannot go on."""


@dataclass(frozen=True)
class ProcessInfo:
    """Where a process stands among those that train together.

    Attributes:
        rank, world: its number among all of them, from 0, and how many they are.
        local, nproc: the same among those on this machine.
        meeting: where they find one another, as torch.distributed takes it.
    """

    rank: int
    world_size: int
    local_rank: int
    nproc: int
    init_method: str


_current: ProcessInfo | None = None


def process_count():
    """How many processes train together; 1 outside ``joined``."""
    return _current.world_size if _current else 1


def process_rank():
    """This process's number; 0 is the one that writes, and one that is alone."""
    return _current.rank if _current else 0


@contextmanager
def join_group(place, device):
    """Be one of several processes for as long as this lasts. ``device``: cpu, or cuda, of which each has its own.

    Raises:
        ConnectionError: the others cannot be found.
    """
    global _here
    if device.type == "cuda":
        torch.cuda.set_device(place.local_rank)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    try:
        store, *_ = next(
            distributed.rendezvous(place.init_method, place.rank, place.world_size, timeout=RENDEZVOUS_TIMEOUT)
        )
        store.set_timeout(GROUP_TIMEOUT)
        distributed.init_process_group(
            backend, store=store, rank=place.rank, world_size=place.world_size, timeout=GROUP_TIMEOUT
        )  # fmt: skip
    except (RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:150]
        raise ConnectionError(
            f"process {place.rank} of {place.world_size} does not find the others at {place.init_method} ({said}): "
            "are ip and port right, and the port free?"
        ) from error
    _current = place
    try:
        yield
    finally:
        _current = None
        distributed.destroy_process_group()


# Speaking to one another


@contextmanager
def _peer_lost():
    try:
        yield
    except RuntimeError as error:  # gloo's and nccl's
        raise PeerLost(
            f"process {process_rank()} of {process_count()} lost the others ({' '.join(str(error).split())[:150]}): "
            "the same command with --resume=True goes on"
        ) from error


def broadcast_object(what=None):
    """What the first process hands in, in all of them; the others wait for it."""
    if process_count() == 1:
        return what
    box = [what]
    with _peer_lost():
        distributed.broadcast_object_list(box, 0, device=torch.device("cpu"))
    return box[0]


def all_gather(what):
    """What each process hands in, in the order of their numbers."""
    if process_count() == 1:
        return [what]
    found = [None] * process_count()
    with _peer_lost():
        distributed.all_gather_object(found, what)
    return found


@contextmanager
def rank0_first():
    """The first process goes through the block alone; the others follow when it is out."""
    if process_rank() > 0:
        broadcast_object()
    yield
    if process_rank() == 0:
        broadcast_object()


def all_reduce_sum(values):
    """The sum over the processes of a tensor, in place."""
    with _peer_lost():
        distributed.all_reduce(values)
    return values


@torch.no_grad()
def broadcast_tensors(tensors):
    """Give floating tensors the first process's values, in place."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    with _peer_lost():
        distributed.broadcast(flat, 0)
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


@torch.no_grad()
def reduce_gradients(parameters, factor):
    """Make each gradient the sum of all processes' times ``factor``. One that a process lacks counts as zeros there;
    one that nobody has stays None, so that the optimiser passes it over as it would alone.
    """
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    there = parameters[0].new_tensor([parameter.grad is not None for parameter in parameters])
    own = [torch.zeros_like(p).view(-1) if p.grad is None else p.grad.reshape(-1) for p in parameters]
    flat = all_reduce_sum(torch.cat([there, *own]))
    there, flat = flat[: len(parameters)].tolist(), flat[len(parameters) :].mul_(factor)
    parts = flat.split([parameter.numel() for parameter in parameters])
    for parameter, had, part in zip(parameters, there, parts, strict=True):
        if had:
            parameter.grad = part.view_as(parameter).clone() if parameter.grad is None else parameter.grad.copy_(
                part.view_as(parameter)
            )  # fmt: skip
