"""Size and latency of models."""

import math
import statistics
import time

import numpy as np
import torch
from scipy.sparse import issparse

from recbole_kd.backbone import backbone_of
from recbole_kd.backbone.scorer import PairBackbone

USERS_PER_BATCH = 256


def model_size(model):
    """What a model holds: (numbers, bytes). Its parameters, and the matrices that EASE and its like are solved into; a
    graph model's propagated tables are made of its parameters.
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
    return tuple(sum(part) for part in zip((0, 0), *counts, strict=True))


def _solved_arrays(model):
    """What a model holds beside its parameters, by name; ADMMSLIM and NCEPLRec, with one number for a parameter, name
    nothing of it.
    """
    named = model.other_parameter() or {}
    solved = sum(weight.numel() for weight in model.parameters()) == 1
    return vars(model) if solved and not named else named


@torch.no_grad()
def latencies(models, users, k, rounds=15):
    """Milliseconds a user for ranking the whole catalogue: median over rounds that take the models in turn.

    Args:
        models: name to RecBole model.
        users: ids, of which up to 256 are ranked in one batch; 8 by a model that scores pair by pair.
        k: length of the list that is taken.
    """
    times: dict[str, list[float]] = {name: [] for name in models}
    backbones = {name: backbone_of(model.eval()) for name, model in models.items()}
    for round_ in range(rounds + 2):
        for name, backbone in backbones.items():
            batch = users[: 8 if isinstance(backbone, PairBackbone) else USERS_PER_BATCH].to(models[name].device)
            began = time.perf_counter()
            scores = backbone.score_all(batch)
            scores.topk(min(k, scores.shape[1]), dim=1).indices.cpu()
            if round_ >= 2:  # the first ones warm caches: LightGCN propagates once
                times[name].append(1000 * (time.perf_counter() - began) / len(batch))
    return {name: statistics.median(values) for name, values in times.items()}
