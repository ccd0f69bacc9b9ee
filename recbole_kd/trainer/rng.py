"""The state of the global random number generators: save, restore, preserve."""

import random
from contextlib import contextmanager

import numpy as np
import torch


def rng_state(loaders=()):
    """Where every global source of randomness stands, and those of the loaders: plain values and tensors."""
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (kind, np.asarray(keys).tolist(), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],  # of the GPU that is used
        "loaders": [loader.generator and loader.generator.get_state() for loader in loaders],
    }


def restore_rng(state, loaders=()):
    """The same, back."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(state["numpy"]))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state(state["cuda"][0])
    for loader, generator in zip(loaders, state["loaders"], strict=True):
        if generator is not None:
            loader.generator.set_state(generator)


@contextmanager
def preserve_rng():
    """Leave Python's, numpy's and torch's global generators as they were: they are RecBole's."""
    state = rng_state()
    try:
        yield
    finally:
        restore_rng(state)


@contextmanager
def seeded_rng(seed):
    """torch's global generator, seeded for a moment: what is drawn inside does not move RecBole's."""
    with preserve_rng():
        torch.manual_seed(seed)
        yield
