"""The result of a run: metrics, size and latency of all its models side by side."""

import platform
from typing import Any

import numpy as np
import recbole
import torch

from recbole_kd._version import __version__
from recbole_kd.config.configurator import plain_config
from recbole_kd.evaluation.cost import latencies, model_size
from recbole_kd.evaluation.list_recommender import ListRecommender
from recbole_kd.evaluation.metrics import evaluate, smaller_is_better, unrounded
from recbole_kd.trainer.training import read_done_marker


def model_row(model, file, valid_result, test_result, ms_per_user):
    """One row of the result: metrics, size and speed of a plain RecBole model; of lists, which have neither, None."""
    parameters, nbytes = (None, None) if isinstance(model, ListRecommender) else model_size(model)
    return {
        "test_result": test_result,
        "valid_result": valid_result,
        "parameters": parameters,
        "bytes": nbytes,
        "ms_per_user": ms_per_user,
        "checkpoint": file,
    }


def build_result(config, data, teachers, knowledge, alone, distilled):
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
        model = teacher.model or ListRecommender(
            read, student, data.train._dataset
        )  # a file of scores ranks as it says
        rows[place] = (teacher.config or student, model, teacher.file)
    rows |= {"student_alone": alone} if alone else {}
    found = _measure_rows({**rows, "distilled": distilled}, data, max(config["topk"]))
    ours = [{"label": teacher.label, **_warning(teacher), **found.pop(place)} for place, teacher in enumerate(teachers)]
    result: dict[str, Any] = {"teacher": ours[0]} if len(ours) == 1 else {"teachers": ours}
    if len(ours) > 1:
        result["ensemble"] = _combined_row(ours, ListRecommender(knowledge, student, data.train._dataset), data)
    elif config["neighbour_weight"]:
        result["with_neighbours"] = _combined_row([], ListRecommender(knowledge, student, data.train._dataset), data)
    result |= found
    result["distilled"]["method"] = config.method
    if alone:
        result["recovered_share"] = _shares(result)  # of metrics that are not rounded yet
    for row in (*ours, *(result[name] for name in ("ensemble", "with_neighbours", *found) if name in result)):
        for part in ("valid_result", "test_result"):
            row[part] = {name: round(value, config["metric_decimal_place"]) for name, value in row[part].items()}
    progress = (read_done_marker(distilled[2]) or {}).get("progress")
    result |= {"progress": progress} if progress else {}
    theirs = [_readable(plan.config) if plan.config is not None else None for plan in config.teachers]
    result |= {"teacher_config": theirs[0]} if len(theirs) == 1 else {"teacher_configs": theirs}
    return result | {"config": _readable(config), "versions": versions()}


def _warning(teacher):
    return {"warning": teacher.warning} if teacher.warning else {}


def _measure_rows(rows, data, k):
    """Rows of name to (plain Config, model, file), evaluated and timed."""
    models = {name: model for name, (_, model, _) in rows.items() if not isinstance(model, ListRecommender)}
    speeds = latencies(models, torch.arange(1, data.dataset.user_num), k)
    found = {}
    for name, (config, model, file) in rows.items():
        valid, test = evaluate(unrounded(config), model, data)
        found[name] = model_row(model, file, valid, test, speeds.get(name))
    return found


def _combined_row(teachers, model, data):
    """The row of what is read of teachers together: what their consensus scores, and what asking all of them costs."""
    valid, test = evaluate(unrounded(model.config), model, data)
    row = model_row(model, None, valid, test, None)
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


def versions():
    """What a result was made with."""
    found = {"recbole_kd": __version__, "recbole": recbole.__version__, "torch": torch.__version__}
    return {**found, "numpy": np.__version__, "python": platform.python_version()}


def _readable(config):
    kinds = (str, int, float, bool, type(None), list, dict)
    return {key: value if isinstance(value, kinds) else str(value) for key, value in config.final_config_dict.items()}
