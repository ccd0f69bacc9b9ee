"""The size and the latency of models."""

import math
import statistics
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse

from recbole_kd.backbone.base import Backbone
from recbole_kd.backbone.scorer import PairBackbone

QUERIES_PER_BATCH = 256
QUERIES_PER_PAIR_BATCH = 8  # of a model that scores pair by pair
WARM_UP_ROUNDS = 2  # they fill caches: LightGCN propagates once


def model_size(model: Any) -> tuple[int, int]:
    """The size of a model: its parameters, and the matrices that EASE and similar models are solved into.

    The propagated tables of a graph model do not count: they are computed from its parameters.

    Args:
        model: a RecBole model.

    Returns:
        The number of numbers, and the number of bytes.
    """
    weights = list(model.parameters())
    counts = [(weight.numel(), weight.numel() * weight.element_size()) for weight in weights]
    for name, array in _solved_arrays(model).items():
        if name.startswith("restore_"):
            continue
        if issparse(array):
            array = array.tocsr()
            counts.append((array.nnz, array.data.nbytes + array.indices.nbytes + array.indptr.nbytes))
        elif isinstance(array, (np.ndarray, torch.Tensor)):
            counts.append((math.prod(array.shape), array.nbytes))
    return sum(numbers for numbers, _ in counts), sum(nbytes for _, nbytes in counts)


def _solved_arrays(model: Any) -> Mapping[str, Any]:
    """What a model holds beside its parameters, by name.

    ADMMSLIM and NCEPLRec, which have one dummy number as a parameter, name none of it, so that their attributes are
    searched.
    """
    named = model.other_parameter() or {}
    is_solved = sum(weight.numel() for weight in model.parameters()) == 1
    return vars(model) if is_solved and not named else named


@torch.no_grad()
def latencies(backbones: Mapping[Any, Backbone], k: int, rounds: int = 15) -> dict[Any, float]:
    """The latency of ranking the whole catalogue, in milliseconds per query: per user, or per sequence.

    The models take turns in each round, so that a disturbance of the machine affects all of them alike.

    Args:
        backbones: by name, RecBole models and whom they are asked for. Each round ranks the first 256 queries, or the
            first 8 for a model that scores pair by pair.
        k: length of the list.
        rounds: number of measured rounds.

    Returns:
        The median over the rounds, by name.
    """
    times: dict[Any, list[float]] = {name: [] for name in backbones}
    for round_ in range(rounds + WARM_UP_ROUNDS):
        for name, backbone in backbones.items():
            model = backbone.model.eval()
            size = QUERIES_PER_PAIR_BATCH if isinstance(backbone, PairBackbone) else QUERIES_PER_BATCH
            batch = torch.arange(1, min(size + 1, backbone.queries.size), device=model.device)
            started = time.perf_counter()
            scores = backbone.score_all(batch)
            scores.topk(min(k, scores.shape[1]), dim=1).indices.cpu()
            if round_ >= WARM_UP_ROUNDS:
                times[name].append(1000 * (time.perf_counter() - started) / len(batch))
    return {name: statistics.median(values) for name, values in times.items()}
