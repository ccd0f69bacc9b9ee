"""Several processes that train one student: how they find one another, agree, and share a gradient and the work.

Knows nothing of models. Where a process is alone, what stands here does nothing and costs nothing.
"""

import datetime
import itertools
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed
from torch.utils.data import Sampler

# the first process may train a teacher while the others wait; one that dies is noticed at once, by its connections
PATIENCE = datetime.timedelta(days=7)
MEETING = datetime.timedelta(minutes=10)  # what machines that are started by hand may be apart
ONE_FOLDER = "all processes have to see the same checkpoint_dir"


class Lost(ConnectionError):
    """Another process has ended, so that this one cannot go on."""


@dataclass(frozen=True)
class Place:
    """Where a process stands among those that train together.

    Attributes:
        rank, world: its number among all of them, from 0, and how many they are.
        local, nproc: the same among those on this machine.
        meeting: where they find one another, as torch.distributed takes it.
    """

    rank: int
    world: int
    local: int
    nproc: int
    meeting: str


_here: Place | None = None


def count():
    """How many processes train together; 1 outside ``joined``."""
    return _here.world if _here else 1


def rank():
    """This process's number; 0 is the one that writes, and one that is alone."""
    return _here.rank if _here else 0


@contextmanager
def joined(place, device):
    """Be one of several processes for as long as this lasts. ``device``: cpu, or cuda, of which each has its own.

    Raises:
        ConnectionError: the others cannot be found.
    """
    global _here
    if device.type == "cuda":
        torch.cuda.set_device(place.local)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    try:
        store, *_ = next(distributed.rendezvous(place.meeting, place.rank, place.world, timeout=MEETING))
        store.set_timeout(PATIENCE)
        distributed.init_process_group(
            backend, store=store, rank=place.rank, world_size=place.world, timeout=PATIENCE
        )  # fmt: skip
    except (RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:150]
        raise ConnectionError(
            f"process {place.rank} of {place.world} does not find the others at {place.meeting} ({said}): "
            "are ip and port right, and the port free?"
        ) from error
    _here = place
    try:
        yield
    finally:
        _here = None
        distributed.destroy_process_group()


# Speaking to one another


@contextmanager
def _lost():
    try:
        yield
    except RuntimeError as error:  # gloo's and nccl's
        raise Lost(
            f"process {rank()} of {count()} lost the others ({' '.join(str(error).split())[:150]}): "
            "the same command with --resume=True goes on"
        ) from error


def from_first(what=None):
    """What the first process hands in, in all of them; the others wait for it."""
    if count() == 1:
        return what
    box = [what]
    with _lost():
        distributed.broadcast_object_list(box, 0, device=torch.device("cpu"))
    return box[0]


def gathered(what):
    """What each process hands in, in the order of their numbers."""
    if count() == 1:
        return [what]
    found = [None] * count()
    with _lost():
        distributed.all_gather_object(found, what)
    return found


@contextmanager
def first_before_others():
    """The first process goes through the block alone; the others follow when it is out."""
    if rank() > 0:
        from_first()
    yield
    if rank() == 0:
        from_first()


def summed(values):
    """The sum over the processes of a tensor, in place."""
    with _lost():
        distributed.all_reduce(values)
    return values


@torch.no_grad()
def copy_of_first(tensors):
    """Give floating tensors the first process's values, in place."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    with _lost():
        distributed.broadcast(flat, 0)
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


@torch.no_grad()
def share_gradients(parameters, factor):
    """Make each gradient the sum of all processes' times ``factor``. One that a process lacks counts as zeros there;
    one that nobody has stays None, so that the optimiser passes it over as it would alone.
    """
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    there = parameters[0].new_tensor([parameter.grad is not None for parameter in parameters])
    own = [torch.zeros_like(p).view(-1) if p.grad is None else p.grad.reshape(-1) for p in parameters]
    flat = summed(torch.cat([there, *own]))
    there, flat = flat[: len(parameters)].tolist(), flat[len(parameters) :].mul_(factor)
    parts = flat.split([parameter.numel() for parameter in parameters])
    for parameter, had, part in zip(parameters, there, parts, strict=True):
        if had:
            parameter.grad = part.view_as(parameter).clone() if parameter.grad is None else parameter.grad.copy_(
                part.view_as(parameter)
            )  # fmt: skip


# Sharing the work


class Share(Sampler):
    """This process's part of what a sampler draws, where all draw the same: every n-th. Step by step the processes
    together see what one alone would.

    Args:
        whole: the sampler.
        even: whether all parts are as long, by taking the first few draws again at the end.
    """

    def __init__(self, whole, even):
        self.whole, self.even = whole, even

    def __len__(self):
        size = len(self.whole) + (-len(self.whole) % count() if self.even else 0)
        return len(range(rank(), size, count()))

    def __iter__(self):
        drawn = list(self.whole)
        if self.even:
            drawn += itertools.islice(itertools.cycle(drawn), -len(drawn) % count())
        return iter(drawn[rank() :: count()])


def share(loader, even):
    """Let a loader give this process's part only, in batches as many times smaller; left alone where it has too little
    for all.
    """
    batches = loader.batch_sampler
    if len(batches.sampler) >= count():
        batches.sampler = Share(batches.sampler, even)
        batches.batch_size = max(1, batches.batch_size // count())


@contextmanager
def shared_cores():
    """torch's threads parted among this machine's processes."""
    threads = torch.get_num_threads()
    if _here:
        torch.set_num_threads(max(1, threads // _here.nproc))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
