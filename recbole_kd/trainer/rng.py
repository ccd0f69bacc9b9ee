"""The state of the global random number generators: save, restore, preserve."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from recbole.data.dataloader import KnowledgeBasedDataLoader


def torch_loaders(loaders: Sequence[Any]) -> list[Any]:
    """The data loaders of torch among some of RecBole's: that of a knowledge-aware model consists of two."""
    return [
        part
        for loader in loaders
        for part in (
            (loader.general_dataloader, loader.kg_dataloader)
            if isinstance(loader, KnowledgeBasedDataLoader)
            else (loader,)
        )
    ]


def rng_state(loaders: Sequence[Any] = ()) -> dict[str, Any]:
    """The state of all global random number generators, and of those of some data loaders.

    Args:
        loaders: ``torch_loaders``, which may have a generator each.

    Returns:
        Plain values and tensors, which ``torch.load`` reads with ``weights_only``.
    """
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (kind, np.asarray(keys).tolist(), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],  # of the current GPU
        "loaders": [loader.generator and loader.generator.get_state() for loader in loaders],
    }


def restore_rng(state: Mapping[str, Any], loaders: Sequence[Any] = ()) -> None:
    """Restore what ``rng_state`` returned.

    Args:
        state: the result of ``rng_state``.
        loaders: as many data loaders as were given to ``rng_state``, in the same order.

    Raises:
        ValueError: the state is damaged, or is that of other loaders.
    """
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    if not 0 <= state["numpy"][2] <= len(state["numpy"][1]):  # numpy would read beyond its table
        raise ValueError("the position in numpy's generator is out of range")
    np.random.set_state(tuple(state["numpy"]))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state(state["cuda"][0])
    for loader, generator in zip(loaders, state["loaders"], strict=True):
        if (generator is None) != (loader.generator is None):
            raise ValueError("the states of the loaders' generators are those of other loaders")
        if generator is not None:
            loader.generator.set_state(generator)


@contextmanager
def preserve_rng() -> Iterator[None]:
    """Restore the global generators of Python, numpy and torch afterwards: RecBole draws from them."""
    state = rng_state()
    try:
        yield
    finally:
        restore_rng(state)


@contextmanager
def seeded_rng(seed: int) -> Iterator[None]:
    """Seed torch's global generator inside the block, and restore all global generators afterwards."""
    with preserve_rng():
        torch.manual_seed(seed)
        yield
