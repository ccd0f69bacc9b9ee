"""What models score and cost, side by side: RecBole's metrics, size, milliseconds; the result that a run ends with."""

import copy
import math
import platform
import statistics
import time
from typing import Any

import numpy as np
import recbole
import torch
from recbole.evaluator import smaller_metrics
from recbole.utils import get_trainer, init_seed
from scipy.sparse import issparse

from recbole_kd import __version__
from recbole_kd.backbone import backbone_of
from recbole_kd.backbone.scorer import PairBackbone
from recbole_kd.config import plain_config, silent
from recbole_kd.teacher import fit
from recbole_kd.teacher.list_model import ListModel

USERS_A_BATCH = 256
DIGITS = 16  # RecBole rounds metrics to 4


def evaluate(config, model, data):
    """RecBole's metrics of a model on the validation and the test part, two dicts of floats."""
    return _scored(config, model, data, (data.valid, data.test))


def on_validation(config, model, data):
    """RecBole's metrics of a model on the validation part; the test part is not looked at."""
    return _scored(config, model, data, (data.valid,))[0]


def _scored(config, model, data, loaders):
    kind = get_trainer(config["MODEL_TYPE"], config["model"])
    trainer = kind(silent(config), model)
    trainer.eval_collector.data_collect(data.train)
    results = []
    for part in loaders:
        # the run's: where negatives are sampled they are the same for every model
        init_seed(data.dataset.config["seed"], config["reproducibility"])
        found = trainer.evaluate(part, load_best_model=False) or {}
        results.append({name: float(value) for name, value in found.items()})
    return tuple(results)


def exact(config):
    """The same Config, whose metrics are not rounded; the training's stays as it is."""
    found = copy.copy(config)
    found.final_config_dict = {**config.final_config_dict, "metric_decimal_place": DIGITS}
    return found


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
    """What a model holds: (numbers, bytes). Its parameters, and the matrices that EASE and its like are solved into; a
    graph model's propagated tables are made of its parameters.
    """
    weights = list(model.parameters())
    counts = [(weight.numel(), weight.numel() * weight.element_size()) for weight in weights]
    for name, array in _held(model).items():
        if name.startswith("restore_"):
            continue
        if issparse(array):
            array = array.tocsr()
            counts.append((array.nnz, array.data.nbytes + array.indices.nbytes + array.indptr.nbytes))
        elif isinstance(array, (np.ndarray, torch.Tensor)):
            counts.append((math.prod(array.shape), array.nbytes))
    return tuple(sum(part) for part in zip((0, 0), *counts, strict=True))


def _held(model):
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
            batch = users[: 8 if isinstance(backbone, PairBackbone) else USERS_A_BATCH].to(models[name].device)
            began = time.perf_counter()
            scores = backbone.score_block(batch)
            scores.topk(min(k, scores.shape[1]), dim=1).indices.cpu()
            if round_ >= 2:  # the first ones warm caches: LightGCN propagates once
                times[name].append(1000 * (time.perf_counter() - began) / len(batch))
    return {name: statistics.median(values) for name, values in times.items()}


def compared(config, data, teachers, knowledge, alone, distilled):
    """The result of a run, a dict of plain values, as run_kd describes it.

    Args:
        config: the run's Config.
        data: its Split.
        teachers: its Teachers.
        knowledge: what was read of them.
        alone, distilled: (plain Config, model, file); ``alone`` may be None.
    """
    student, members = plain_config(config), getattr(knowledge, "members", [knowledge])
    rows: dict[Any, tuple] = {}
    for place, (teacher, read) in enumerate(zip(teachers, members, strict=True)):
        model = teacher.model or ListModel(read, student, data.train._dataset)  # a file of scores ranks as it says
        rows[place] = (teacher.config or student, model, teacher.file)
    rows |= {"student_alone": alone} if alone else {}
    found = _measured({**rows, "distilled": distilled}, data, max(config["topk"]))
    ours = [{"label": teacher.label, **_warning(teacher), **found.pop(place)} for place, teacher in enumerate(teachers)]
    result: dict[str, Any] = {"teacher": ours[0]} if len(ours) == 1 else {"teachers": ours}
    if len(ours) > 1:
        result["ensemble"] = _together(ours, ListModel(knowledge, student, data.train._dataset), data)
    elif config["neighbour_weight"]:
        result["with_neighbours"] = _together([], ListModel(knowledge, student, data.train._dataset), data)
    result |= found
    result["distilled"]["method"] = config.method
    if alone:
        result["recovered_share"] = _shares(result)  # of metrics that are not rounded yet
    for row in (*ours, *(result[name] for name in ("ensemble", "with_neighbours", *found) if name in result)):
        for part in ("valid_result", "test_result"):
            row[part] = {name: round(value, config["metric_decimal_place"]) for name, value in row[part].items()}
    progress = (fit.complete(distilled[2]) or {}).get("progress")
    result |= {"progress": progress} if progress else {}
    theirs = [_readable(plan.config) if plan.config is not None else None for plan in config.teachers]
    result |= {"teacher_config": theirs[0]} if len(theirs) == 1 else {"teacher_configs": theirs}
    return result | {"config": _readable(config), "versions": versions()}


def _warning(teacher):
    return {"warning": teacher.warning} if teacher.warning else {}


def _measured(rows, data, k):
    """Rows of name to (plain Config, model, file), evaluated and timed."""
    models = {name: model for name, (_, model, _) in rows.items() if not isinstance(model, ListModel)}
    speeds = latencies(models, torch.arange(1, data.dataset.user_num), k)
    found = {}
    for name, (config, model, file) in rows.items():
        valid, test = evaluate(exact(config), model, data)
        found[name] = entry(model, file, valid, test, speeds.get(name))
    return found


def _together(teachers, model, data):
    """The row of what is read of teachers together: what their consensus scores, and what asking all of them costs."""
    valid, test = evaluate(exact(model.config), model, data)
    row = entry(model, None, valid, test, None)
    for cost in ("parameters", "bytes", "ms_per_user"):
        known = [one[cost] for one in teachers if one[cost] is not None]  # nobody knows those of a file
        row[cost] = sum(known) if known else None
    return row


def recovered_share(method, alone, teacher, smaller=False):
    """(method - alone) / (teacher - alone) of the means over the same seeds; None where the teacher is no better.

    ``smaller``: less of the metric is better.
    """
    if not len(method):
        return None
    gap = float(np.mean(teacher) - np.mean(alone))
    return float(np.mean(method) - np.mean(alone)) / gap if (gap < 0 if smaller else gap > 0) else None


def _shares(result):
    """The recovered share of each test metric, several teachers taken together."""
    ends = ("distilled", "student_alone", "ensemble" if "ensemble" in result else "teacher")
    own, alone, teacher = (result[name]["test_result"] for name in ends)
    return {
        metric: recovered_share([own[metric]], [alone[metric]], [teacher[metric]], smaller_is_better(metric))
        for metric in own
    }


def smaller_is_better(metric):
    """Whether less of a metric, by RecBole's name with or without @k, is better."""
    return metric.partition("@")[0] in smaller_metrics


def versions():
    """What a result was made with."""
    found = {"recbole_kd": __version__, "recbole": recbole.__version__, "torch": torch.__version__}
    return {**found, "numpy": np.__version__, "python": platform.python_version()}


def _readable(config):
    kinds = (str, int, float, bool, type(None), list, dict)
    return {key: value if isinstance(value, kinds) else str(value) for key, value in config.final_config_dict.items()}
