"""The interactions of a split's parts as rows: what makes a sequence's target known to another model."""

import numpy as np
from recbole.data.dataset import Dataset


def interaction_rows(dataset: Dataset, timed: bool) -> np.ndarray:
    """The distinct rows of a RecBole dataset, sorted.

    A row is (user, item, time): a user who takes an item again makes another row. Sequences need this, because a test
    target may well be an item that the user has had before. RecBole holds
    times in single precision, so that two interactions of a user with one item within about a minute are one row.

    Args:
        dataset: one part of a split.
        timed: whether the time counts; 0 stands for it otherwise, as where it was not read.

    Returns:
        A structured array with the fields ``user``, ``item`` and ``time``.
    """
    features = dataset.inter_feat
    rows = np.empty(len(features), dtype=[("user", "i8"), ("item", "i8"), ("time", "f8")])
    rows["user"] = features[dataset.uid_field].numpy()
    rows["item"] = features[dataset.iid_field].numpy()
    rows["time"] = features[dataset.time_field].numpy() if timed else 0
    return np.unique(rows)


def has_times(dataset: Dataset) -> bool:
    """Whether the column of times was read."""
    return dataset.time_field in dataset.inter_feat.columns
