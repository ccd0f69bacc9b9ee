"""What a run ends with: teachers, student alone and distilled student, measured side by side."""

import platform
from typing import Any

import numpy as np
import recbole
import torch

from recbole_kd import __version__
from recbole_kd.config import plain_config
from recbole_kd.teacher import fit
from recbole_kd.teacher.list_model import ListModel
from recbole_kd.teacher.measure import entry, evaluate, latencies


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
    ours = [{"label": teacher.label, **found.pop(place)} for place, teacher in enumerate(teachers)]
    result: dict[str, Any] = {"teacher": ours[0]} if len(ours) == 1 else {"teachers": ours}
    if len(ours) > 1:
        result["ensemble"] = _together(ours, ListModel(knowledge, student, data.train._dataset), data)
    result |= found
    result["distilled"]["method"] = config.method
    if alone:
        result["recovered_share"] = recovered_share(result)
    progress = (fit.complete(distilled[2]) or {}).get("progress")
    result |= {"progress": progress} if progress else {}
    theirs = [_readable(plan.config) if plan.config is not None else None for plan in config.teachers]
    result |= {"teacher_config": theirs[0]} if len(theirs) == 1 else {"teacher_configs": theirs}
    return result | {"config": _readable(config), "versions": versions()}


def _measured(rows, data, k):
    """Rows of name to (plain Config, model, file), evaluated and timed."""
    models = {name: model for name, (_, model, _) in rows.items() if not isinstance(model, ListModel)}
    speeds = latencies(models, torch.arange(1, data.dataset.user_num), k)
    found = {}
    for name, (config, model, file) in rows.items():
        valid, test = evaluate(config, model, data)
        found[name] = entry(model, file, valid, test, speeds.get(name))
    return found


def _together(teachers, model, data):
    """The row of several teachers: what their consensus scores, and what asking all of them costs."""
    valid, test = evaluate(model.config, model, data)
    row = entry(model, None, valid, test, None)
    return row | {cost: sum(one[cost] or 0 for one in teachers) for cost in ("parameters", "bytes", "ms_per_user")}


def recovered_share(result):
    """(distilled - alone) / (teacher - alone) for each test metric, several teachers taken together; None where the
    teacher is no better.
    """
    ends = ("ensemble" if "ensemble" in result else "teacher", "student_alone", "distilled")
    teacher, alone, distilled = (result[name]["test_result"] for name in ends)
    share = {}
    for metric in distilled:
        gap = teacher[metric] - alone[metric]
        share[metric] = (distilled[metric] - alone[metric]) / gap if gap > 0 else None
    return share


def versions():
    """What a result was made with."""
    found = {"recbole_kd": __version__, "recbole": recbole.__version__, "torch": torch.__version__}
    return {**found, "numpy": np.__version__, "python": platform.python_version()}


def _readable(config):
    kinds = (str, int, float, bool, type(None), list, dict)
    return {key: value if isinstance(value, kinds) else str(value) for key, value in config.final_config_dict.items()}
