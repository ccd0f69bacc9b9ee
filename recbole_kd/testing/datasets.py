"""Small synthetic datasets with structure, written as RecBole's atomic files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def write_dataset(
    folder: Path,
    name: str,
    users: int = 60,
    items: int = 90,
    rank: int = 3,
    seed: int = 0,
    interactions: int = 14,
) -> Path:
    """Write a dataset of low rank: each user interacts with the items that match a few hidden tastes.

    Args:
        folder: RecBole's ``data_path``; the files go to ``folder/name``.
        name: name of the dataset.
        users: number of users.
        items: number of items.
        rank: number of hidden tastes.
        seed: seed of the random draws.
        interactions: number of interactions of each user, the best matching items in descending order. Their
            timestamps count from 0.

    Returns:
        ``folder``.
    """
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(users, rank)) @ rng.normal(size=(rank, items)) + rng.gumbel(size=(users, items))
    rows = [
        f"u{user}\ti{item}\t{time}"
        for user, row in enumerate(scores)
        for time, item in enumerate(np.argsort(-row)[:interactions])
    ]
    _write_interactions(folder, name, "user_id:token\titem_id:token\ttimestamp:float", rows)
    return folder


def write_gate_dataset(folder: Path, name: str = "gate") -> Path:
    """Write the dataset of the accuracy checks: 500 users, 300 items, twelve hidden tastes, unequal popularity.

    A model of width 64 can represent the twelve tastes and a model of width 4 cannot.

    Args:
        folder: RecBole's ``data_path``; the files go to ``folder/name``.
        name: name of the dataset.

    Returns:
        ``folder``.
    """
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(500, 12)), rng.normal(size=(300, 12))
    scores = 3.0 * users @ items.T / np.sqrt(12) + rng.gumbel(size=(500, 300)) + 0.5 * rng.normal(size=300)
    rows = [f"u{user}\ti{item}" for user, row in enumerate(scores) for item in np.argsort(-row)[:40]]
    _write_interactions(folder, name, "user_id:token\titem_id:token", rows)
    return folder


def _write_interactions(folder: Path, name: str, header: str, rows: Sequence[str]) -> None:
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{name}.inter").write_text("\n".join([header, *rows]) + "\n")
