"""The shard of a process: its part of the data and of the machine's threads."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import Sampler

from recbole_kd.distributed.process_group import current_process, process_count, process_rank


class ShardSampler(Sampler):
    """The shard of this process of what a sampler draws: every n-th index, from the rank on.

    All processes draw the same from the sampler, so that together they see in each step what one process would see.

    Args:
        sampler: a sampler that draws the same in all processes.
        even: whether all shards have the same length; the first indices are repeated at the end to fill them.
    """

    sampler: Any
    even: bool

    def __init__(self, sampler: Any, even: bool) -> None:
        self.sampler, self.even = sampler, even

    def __len__(self) -> int:
        size = len(self.sampler) + (-len(self.sampler) % process_count() if self.even else 0)
        return len(range(process_rank(), size, process_count()))

    def __iter__(self) -> Iterator[Any]:
        indices = list(self.sampler)
        if self.even:
            indices += itertools.islice(itertools.cycle(indices), -len(indices) % process_count())
        return iter(indices[process_rank() :: process_count()])


def shard_loader(loader: Any, even: bool) -> None:
    """Restrict a loader to the shard of this process, and divide its batch size by the number of processes.

    A loader with fewer samples than processes is left as it is.

    Args:
        loader: one of RecBole's data loaders; changed in place.
        even: as of ShardSampler.
    """
    batches = loader.batch_sampler
    if len(batches.sampler) >= process_count():
        batches.sampler = ShardSampler(batches.sampler, even)
        batches.batch_size = max(1, batches.batch_size // process_count())


@contextmanager
def divided_threads() -> Iterator[None]:
    """Divide torch's threads among the processes on this machine inside the block."""
    threads, process = torch.get_num_threads(), current_process()
    if process:
        torch.set_num_threads(max(1, threads // process.nproc))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
