"""Pairs that stand in two parts of a split: a held-out pair that is a training pair too makes metrics too good."""

from collections.abc import Mapping
from typing import TypedDict

import numpy as np
from recbole.config import Config
from recbole.utils import ModelType

from recbole_kd.data.split import Split

ROWS = 65536  # of histories at a time


class SharedPairs(TypedDict):
    """The pairs that two parts of a split share.

    Attributes:
        test_in_train: how many test pairs are training pairs, too.
        valid_in_train: how many validation pairs are training pairs, too.
        test_in_valid: how many test pairs are validation pairs, too.
        warning: the sentence of the log and of the table; it names what prevents such pairs.
    """

    test_in_train: int
    valid_in_train: int
    test_in_valid: int
    warning: str


def shared_pairs(config: Config, split: Split) -> SharedPairs | None:
    """The pairs that the parts of a run's split share.

    The items of a history (RecBole's ``item_id_list``) in the training part count as training pairs of its user.

    Args:
        config: the Config of the run.
        split: its split.

    Returns:
        Their numbers and the warning; None if the parts share no pair.
    """
    in_train = {part: int(trained_on(split, split.pairs[part]).sum()) for part in ("test", "valid")}
    in_valid = int(np.isin(split.pairs["test"], split.pairs["valid"]).sum())
    if not (any(in_train.values()) or in_valid):
        return None
    return {
        "test_in_train": in_train["test"],
        "valid_in_train": in_train["valid"],
        "test_in_valid": in_valid,
        "warning": _warning(config, split, in_train, in_valid),
    }


def trained_on(split: Split, pairs: np.ndarray) -> np.ndarray:
    """Whether each pair is in the training part, as a row or in a history; bool, shape [p].

    Args:
        split: the split.
        pairs: user * n_items + item, int64, shape [p].
    """
    dataset = split.train._dataset
    result = np.isin(pairs, split.pairs["train"])
    name = f"{dataset.iid_field}{dataset.config['LIST_SUFFIX']}"
    if name not in dataset.inter_feat.columns:
        return result
    users, histories = (dataset.inter_feat[field].numpy().astype(np.int64) for field in (dataset.uid_field, name))
    for start in range(0, len(users), ROWS):
        items = histories[start : start + ROWS]
        ids = (users[start : start + ROWS, None] * dataset.item_num + items)[items > 0]  # 0 is padding
        result |= np.isin(pairs, ids)
    return result


def remedy(config: Config) -> str:
    """What leaves no pair in two parts of a split, as the end of a sentence."""
    if config["benchmark_filename"]:
        files = ", ".join(map(str, config["benchmark_filename"]))
        return f"the files of benchmark_filename ({files}) overlap: keep each pair in one of them"
    return "the data hold them more than once: rm_dup_inter: first keeps one row of each pair"


def describe_repeated_pairs(config: Config, split: Split) -> str | None:
    """Why a teacher of a run's own split has seen held-out pairs; None if the parts share no pair."""
    shared = shared_pairs(config, split)
    if shared is None:
        return None
    total = shared["test_in_train"] + shared["valid_in_train"] + shared["test_in_valid"]
    return f"{total:,} held-out pairs stand in two parts of this run's own split, and {remedy(config)}"


def _warning(config: Config, split: Split, in_train: Mapping[str, int], in_valid: int) -> str:
    totals = {part: f"{len(split.pairs[part]):,}" for part in ("test", "valid")}
    facts = [
        f"{in_train[part]:,} of the {totals[part]} {kind} pairs of user and item are training pairs too"
        for part, kind in (("test", "test"), ("valid", "validation"))
        if in_train[part]
    ]
    if in_valid:
        facts.append(f"{in_valid:,} of the {totals['test']} test pairs of user and item are validation pairs too")
    if config["MODEL_TYPE"] == ModelType.SEQUENTIAL:
        return (
            f"{' and '.join(facts)}: where repeat consumption is to be predicted this is as it should be; "
            f"where new items are, {remedy(config)}"
        )
    return f"{' and '.join(facts)}, so that the metrics reward what was learned by heart; {remedy(config)}"
