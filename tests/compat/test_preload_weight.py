"""Pre-trained vectors have the precision of a model's parameters."""

from types import SimpleNamespace

import numpy as np
from recbole.data.dataset import Dataset


def test_preloaded_vectors_are_single_precision():
    stored = np.array([[0.0, 0.1], [0.2, 0.3]])
    given = Dataset.get_preload_weight(SimpleNamespace(_preloaded_weight={"rel_id": stored}), "rel_id")
    assert given.dtype == np.float32 and np.array_equal(given, stored.astype(np.float32))
