"""What a plain RecBole model scores and costs: RecBole's metrics, size, milliseconds."""

import math
import statistics
import time

import numpy as np
import torch
from recbole.utils import get_trainer, init_seed
from scipy.sparse import issparse

from recbole_kd.backbone import backbone_of
from recbole_kd.backbone.scorer import PairBackbone
from recbole_kd.teacher.list_model import ListModel

USERS_A_BATCH = 256


def evaluate(config, model, data):
    """RecBole's metrics of a model on the validation and the test part, two dicts of floats."""
    kind = get_trainer(config["MODEL_TYPE"], config["model"])
    trainer = kind(config, model)
    trainer.eval_collector.data_collect(data.train)
    results = []
    for part in (data.valid, data.test):
        init_seed(config["seed"], config["reproducibility"])  # where negatives are sampled: the same for every model
        found = trainer.evaluate(part, load_best_model=False) or {}
        results.append({name: float(value) for name, value in found.items()})
    return tuple(results)


def entry(model, file, valid_result, test_result, ms_per_user):
    """One row of the result: metrics, size and speed of a plain RecBole model; of lists, which have neither, None."""
    parameters, nbytes = (None, None) if isinstance(model, ListModel) else size(model)
    return {
        "test_result": test_result,
        "valid_result": valid_result,
        "parameters": parameters,
        "bytes": nbytes,
        "ms_per_user": ms_per_user,
        "checkpoint": file,
    }


def size(model):
    """What a model holds: (numbers, bytes). Its parameters, and the matrices that EASE and its like are solved into."""
    weights = list(model.parameters())
    counts = [(weight.numel(), weight.numel() * weight.element_size()) for weight in weights]
    for array in (model.other_parameter() or {}).values():
        if issparse(array):
            array = array.tocsr()
            counts.append((array.nnz, array.data.nbytes + array.indices.nbytes + array.indptr.nbytes))
        elif isinstance(array, (np.ndarray, torch.Tensor)):
            counts.append((math.prod(array.shape), array.nbytes))
    return tuple(sum(part) for part in zip((0, 0), *counts, strict=True))


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
            batch = users[: 8 if isinstance(backbone, PairBackbone) else USERS_A_BATCH].to(models[name].device)
            began = time.perf_counter()
            scores = backbone.score_block(batch)
            scores.topk(min(k, scores.shape[1]), dim=1).indices.cpu()
            if round_ >= 2:  # the first ones warm caches: LightGCN propagates once
                times[name].append(1000 * (time.perf_counter() - began) / len(batch))
    return {name: statistics.median(values) for name, values in times.items()}
