"""Each process's shard of the data and of the machine's threads."""

import itertools
from contextlib import contextmanager

import torch
from torch.utils.data import Sampler

from recbole_kd.distributed.process_group import _current, process_count, process_rank

# Sharing the work


class ShardSampler(Sampler):
    """This process's part of what a sampler draws, where all draw the same: every n-th. Step by step the processes
    together see what one alone would.

    Args:
        whole: the sampler.
        even: whether all parts are as long, by taking the first few draws again at the end.
    """

    def __init__(self, whole, even):
        self.sampler, self.even = whole, even

    def __len__(self):
        size = len(self.sampler) + (-len(self.sampler) % process_count() if self.even else 0)
        return len(range(process_rank(), size, process_count()))

    def __iter__(self):
        drawn = list(self.sampler)
        if self.even:
            drawn += itertools.islice(itertools.cycle(drawn), -len(drawn) % process_count())
        return iter(drawn[process_rank() :: process_count()])


def shard_loader(loader, even):
    """Let a loader give this process's part only, in batches as many times smaller; left alone where it has too little
    for all.
    """
    batches = loader.batch_sampler
    if len(batches.sampler) >= process_count():
        batches.sampler = ShardSampler(batches.sampler, even)
        batches.batch_size = max(1, batches.batch_size // process_count())


@contextmanager
def divided_threads():
    """torch's threads parted among this machine's processes."""
    threads = torch.get_num_threads()
    if _current:
        torch.set_num_threads(max(1, threads // _current.nproc))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
