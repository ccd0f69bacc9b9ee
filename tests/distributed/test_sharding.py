"""Shards of the data and of the threads."""

import itertools

import pytest
import torch

from recbole_kd.distributed import process_group
from recbole_kd.distributed.process_group import (
    ProcessInfo,
)
from recbole_kd.distributed.sharding import ShardSampler, divided_threads, shard_loader


@pytest.fixture
def here(monkeypatch):
    """Gives this process a rank in a group without other processes."""

    def be(rank, world=2):
        monkeypatch.setattr(process_group, "_current", ProcessInfo(rank, world, rank, world, ""))

    yield be
    monkeypatch.undo()


@pytest.mark.parametrize("world", [2, 3, 5])
@pytest.mark.parametrize("size", [5, 6, 7])
def test_shards_do_not_overlap(size, world, here):
    shards, even = [], []
    for rank in range(world):
        here(rank, world)
        shards.append(list(ShardSampler(range(size), even=False)))
        assert len(ShardSampler(range(size), even=False)) == len(shards[-1])
        even.append(list(ShardSampler(range(size), even=True)))
        assert len(ShardSampler(range(size), even=True)) == len(even[-1])
    assert sorted(itertools.chain(*shards)) == list(range(size))
    drawn = list(itertools.chain(*even))
    assert set(drawn) == set(range(size)) and len({len(shard) for shard in even}) == 1
    assert len(drawn) - size < world


def test_a_loader_with_fewer_samples_than_processes_is_unchanged(here):
    loader = torch.utils.data.DataLoader(list(range(3)), batch_size=2)
    here(1, 4)
    shard_loader(loader, even=False)
    assert [batch.tolist() for batch in loader] == [[0, 1], [2]]


def test_threads_are_divided_and_restored(here):
    torch.set_num_threads(4)
    try:
        here(0)
        with divided_threads():
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(1)
