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


def write_sequence_dataset(
    folder: Path, name: str = "toy_seq", users: int = 60, items: int = 30, seed: int = 0
) -> Path:
    """Write a dataset whose order in time can be learnt: each item has three items that follow it in most cases.

    Items have a category (``class``, which the next items share) and a year, and users an age, for the models that read
    features.

    Args:
        folder: RecBole's ``data_path``; the files go to ``folder/name``.
        name: name of the dataset.
        users: number of users, of 10 to 16 interactions each.
        items: number of items.
        seed: seed of the random draws.

    Returns:
        ``folder``.
    """
    rng = np.random.default_rng(seed)
    following = rng.integers(items, size=(items, 3))
    rows = []
    for user in range(users):
        item = int(rng.integers(items))
        for time in range(int(rng.integers(10, 17))):
            rows.append(f"u{user}\ti{item}\t{1 + time % 5}\t{time}")
            item = int(rng.choice(following[item]) if rng.random() < 0.8 else rng.integers(items))
    _write_interactions(folder, name, "user_id:token\titem_id:token\trating:float\ttimestamp:float", rows)
    features = [f"i{item}\tc{item % 4} c{item % 3}\t{1990 + item % 7}" for item in range(items)]
    _write(folder, name, "item", "item_id:token\tclass:token_seq\trelease_year:token", features)
    people = [f"u{user}\t{20 + user % 9}" for user in range(users)]
    _write(folder, name, "user", "user_id:token\tage:token", people)
    return folder


def write_knowledge_dataset(folder: Path, name: str = "toy_kg", seed: int = 0) -> Path:
    """Write a dataset of low rank with a knowledge graph: each item has a genre, a maker, and similar items.

    Args:
        folder: RecBole's ``data_path``; the files go to ``folder/name``.
        name: name of the dataset; its interactions are those of ``write_dataset``.
        seed: seed of the random draws.

    Returns:
        ``folder``.
    """
    write_dataset(folder, name, seed=seed)
    return write_knowledge_graph(folder, name, items=90, seed=seed + 1)


def write_knowledge_graph(folder: Path, name: str, items: int, seed: int = 1) -> Path:
    """Write a knowledge graph beside the interactions of a dataset: each item has a genre, a maker, and similar items.

    Args:
        folder: RecBole's ``data_path``; the files ``.kg`` and ``.link`` go to ``folder/name``.
        name: name of the dataset.
        items: number of items, which are named i0, i1, ….
        seed: seed of the random draws.

    Returns:
        ``folder``.
    """
    rng = np.random.default_rng(seed)
    triples = [f"e{item}\tgenre\tg{item % 6}" for item in range(items)]
    triples += [f"e{item}\tmaker\tm{rng.integers(12)}" for item in range(items)]
    triples += [f"e{item}\tsimilar\te{rng.integers(items)}" for item in range(items)]
    _write(folder, name, "kg", "head_id:token\trelation_id:token\ttail_id:token", triples)
    _write(folder, name, "link", "item_id:token\tentity_id:token", [f"i{item}\te{item}" for item in range(items)])
    return folder


def _write_interactions(folder: Path, name: str, header: str, rows: Sequence[str]) -> None:
    _write(folder, name, "inter", header, rows)


def _write(folder: Path, name: str, suffix: str, header: str, rows: Sequence[str]) -> None:
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{name}.{suffix}").write_text("\n".join([header, *rows]) + "\n")
