"""Whether a warm start can work, and whether it has seen what this run holds out."""

import logging
from typing import Any

import numpy as np
from recbole.config import Config as RecBoleConfig

from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.data.split import Split, prepare_split
from recbole_kd.teacher.leakage import find_incompatibility
from recbole_kd.trainer.model_builder import build_model
from recbole_kd.trainer.rng import preserve_rng
from recbole_kd.trainer.warm_start import (
    RowMap,
    describe_new_rows,
    earlier_config,
    matched_state,
    warm_start_maps,
)

HELD_OUT = (("test", "test"), ("valid", "validation"))
TOO_GOOD = "the metrics of both students may be too good"


def check_warm_start(config: Config, data: Split) -> None:
    """Refuse an ``init_from`` whose weights do not fit, of the student and of teachers, before any training.

    Args:
        config: the run's Config.
        data: its split.

    Raises:
        KDError: as of ``warm_start_maps`` and ``matched_state``.
    """
    trained = [spec for spec in config.teachers if spec.entry.path is None]
    configs = [plain_config(config), *(spec.config for spec in trained if spec.config is not None)]
    for side in configs:
        if side["init_from"]:
            with preserve_rng():
                _check_weights(side, data)


def _check_weights(config: RecBoleConfig, data: Split) -> None:
    content, maps = warm_start_maps(config, data.tokens)
    model = build_model(config, data.training_dataset(config))
    matched_state(content["state_dict"], model.state_dict(), maps, config["init_from"])


def warm_start_entry(config: Config, data: Split) -> dict[str, Any]:
    """What a run's result says about the student's ``init_from``; its warning goes to the log as well.

    Args:
        config: the run's Config.
        data: its split.

    Returns:
        ``warm_start`` with the numbers of new users and items, a sentence and perhaps a warning; empty without one.
    """
    file = config["init_from"]
    if not file:
        return {}
    with preserve_rng():
        content, maps = warm_start_maps(config, data.tokens)
        warnings = _leaks(content, config, data, maps)
    entry = {f"new_{rowmap.side}s": rowmap.new for rowmap in maps} | {"rows": describe_new_rows(file, maps)}
    if warnings:
        entry["warning"] = f"init_from='{file}' {', and it '.join(warnings)}"
        logging.getLogger().warning(entry["warning"])
    return {"warm_start": entry}


def _leaks(content: dict[str, Any], config: Config, data: Split, maps: list[RowMap]) -> list[str]:
    """What the file may have seen of this run's held-out pairs, and this run of the file's, as ends of a sentence."""
    if config["init_data_path"]:
        return _counted_leaks(config, data, maps)
    fault, _ = find_incompatibility(content, config, data)
    if fault is None:
        return []
    remedy = "; init_data_path names the data that it was trained on, so that they can be counted"
    return [f"{fault}: {TOO_GOOD}{remedy if 'cannot be checked' in fault else ''}"]


def _counted_leaks(config: Config, data: Split, maps: list[RowMap]) -> list[str]:
    earlier = prepare_split(earlier_config(config["init_from"], config["init_data_path"]))
    trained, tested = (translate_pairs(earlier.pairs[part], maps) for part in ("train", "test"))
    counts = {part: int(np.isin(data.pairs[part], trained).sum()) for part, _ in HELD_OUT}
    parts = [f"{counts[part]:,} of this run's {len(data.pairs[part]):,} {kind} pairs" for part, kind in HELD_OUT]
    warnings = [f"was trained on {' and '.join(parts)}: {TOO_GOOD}"] if any(counts.values()) else []
    if count := int(np.isin(tested, data.pairs["train"]).sum()):
        warnings.append(
            f"was tested on {count:,} pairs that are training pairs of this run: its metrics are not comparable with "
            "those of this run"
        )
    return warnings


def translate_pairs(pairs: np.ndarray, maps: list[RowMap]) -> np.ndarray:
    """Earlier pairs as pairs of today, without those of users and items that are gone.

    Args:
        pairs: user * items + item by the earlier ids, int64.
        maps: of users and of items.

    >>> users = RowMap("user", 3, np.array([0, 2, 1]))
    >>> items = RowMap("item", 3, np.array([0, 1, -1, 2]))
    >>> translate_pairs(np.array([1 * 3 + 2]), [users, items]).tolist()  # user 1 is 2 today, and item 2 is 3
    [11]
    """
    current = []
    for rowmap in maps:
        ids = np.full(rowmap.size, -1, dtype=np.int64)
        known = rowmap.rows >= 0
        ids[rowmap.rows[known]] = np.flatnonzero(known)
        current.append(ids)
    users, items = current[0][pairs // maps[1].size], current[1][pairs % maps[1].size]
    kept = (users >= 0) & (items >= 0)
    return users[kept] * len(maps[1].rows) + items[kept]
