"""The result of a run: metrics, size and latency of all its models side by side."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict, cast

import numpy as np
from recbole.config import Config as RecBoleConfig

from recbole_kd.backbone import Backbone, backbone_of
from recbole_kd.config.configurator import Config, plain_config
from recbole_kd.data.shared_pairs import SharedPairs
from recbole_kd.data.split import Split
from recbole_kd.evaluation.cost import latencies, model_size
from recbole_kd.evaluation.list_recommender import ListRecommender
from recbole_kd.evaluation.metrics import Metrics, evaluate, smaller_is_better, unrounded
from recbole_kd.evaluation.neighbour_advice import NeighbourAdvice
from recbole_kd.evaluation.sequence_recommenders import LatestSequenceRecommender, SequenceEnsembleRecommender
from recbole_kd.evaluation.teacher_recommenders import list_recommender, teacher_recommender
from recbole_kd.evaluation.versions import versions
from recbole_kd.knowledge.frozen_teacher import Teacher
from recbole_kd.knowledge.loader import queries_for
from recbole_kd.trainer.narrow import Width, narrow_students
from recbole_kd.trainer.training import read_done_marker

TrainedModel = tuple[RecBoleConfig, Any, str]
"""A plain RecBole Config, the model, and the file of its checkpoint."""


class ModelRow(TypedDict, total=False):
    """One model of a run.

    Attributes:
        test_result: RecBole's metrics on the test part, by name.
        valid_result: RecBole's metrics on the validation part, by name.
        parameters: how many numbers the model holds; None for a file of scores.
        bytes: how many bytes these take; None for a file of scores.
        ms_per_user: milliseconds for ranking the whole catalogue for one user; None for a file of scores.
        checkpoint: the file of the model; None for a row that combines several models.
        label: the name of a teacher; in the rows of teachers only.
        warning: why ``teacher_check: warn`` was needed for a teacher; in the rows of such teachers only.
        method: the name of the method; in the row of the distilled student only.
    """

    test_result: Metrics
    valid_result: Metrics
    parameters: int | None
    bytes: int | None
    ms_per_user: float | None
    checkpoint: str | None
    label: str
    warning: str
    method: str


class RunResult(TypedDict, total=False):
    """The result of a run.

    Attributes:
        teacher: the teacher, of a run with one teacher.
        teachers: the teachers, of a run with several teachers, in the order of the config.
        ensemble: the combined ranking of several teachers. Its size and its latency are the sums over the teachers.
        with_neighbours: the ranking of one teacher with its item neighbours, where ``neighbour_weight`` is set.
        student_alone: the student trained without a teacher; missing where ``baseline`` is off.
        distilled: the distilled student.
        widths: the students of the other widths of ``kd_widths``, each with its ``width``; missing without them.
        recovered_share: by test metric, the share of the distance from the student alone to the teacher (or to the
            ensemble) that the distilled student covers; None where the teacher is not better. Missing where
            ``baseline`` is off, and where a teacher cannot be measured.
        neighbours_worth: what the teacher's lists would gain by its item neighbours, where that can be measured.
        shared_pairs: how many pairs two parts of the split share, with a warning; missing where they share none.
        progress: what the terms of the method reported during the training: lists of [epoch, number] by name.
        teacher_config: the settings of the teacher, of a run with one teacher; None for a file of scores.
        teacher_configs: the same for several teachers, in the order of the config.
        config: the settings of the run.
        versions: the versions of the packages, by name.
    """

    teacher: ModelRow
    teachers: list[ModelRow]
    ensemble: ModelRow
    with_neighbours: ModelRow
    student_alone: ModelRow
    distilled: ModelRow
    widths: list[dict[str, Any]]
    recovered_share: dict[str, float | None]
    neighbours_worth: NeighbourAdvice
    shared_pairs: SharedPairs
    progress: dict[str, list[list[float]]]
    teacher_config: dict[str, Any] | None
    teacher_configs: list[dict[str, Any] | None]
    config: dict[str, Any]
    versions: dict[str, str]


def model_row(
    model: Any, file: str | None, valid_result: Metrics, test_result: Metrics, ms_per_user: float | None
) -> ModelRow:
    """One row of the result.

    Args:
        model: a plain RecBole model, or a ranking that combines several, which has no size.
        file: its checkpoint.
        valid_result: its metrics on validation.
        test_result: its metrics on test.
        ms_per_user: its latency.
    """
    if isinstance(model, LatestSequenceRecommender):
        model = model.model
    is_list = isinstance(model, (ListRecommender, SequenceEnsembleRecommender))
    parameters, nbytes = (None, None) if is_list else model_size(model)
    return {
        "test_result": test_result,
        "valid_result": valid_result,
        "parameters": parameters,
        "bytes": nbytes,
        "ms_per_user": ms_per_user,
        "checkpoint": file,
    }


def _unmeasured_row(file: str | None) -> ModelRow:
    """The row of a ranking that says nothing of the validation and test part: without metrics."""
    row: dict[str, Any] = {
        "test_result": {},
        "valid_result": {},
        "parameters": None,
        "bytes": None,
        "ms_per_user": None,
    }
    return cast(ModelRow, {**row, "checkpoint": file})


def build_result(
    config: Config,
    split: Split,
    teachers: Sequence[Teacher],
    knowledge: Any,
    alone: TrainedModel | None,
    distilled: TrainedModel,
) -> RunResult:
    """Evaluate and time the models of a run.

    Args:
        config: the Config of the run.
        split, teachers: its split and its teachers.
        knowledge: what is read from them.
        alone, distilled: the student trained alone, or None, and the distilled student.

    Returns:
        The result, plain values that JSON can hold; without ``neighbours_worth`` and ``shared_pairs``.
    """
    student = plain_config(config)
    models = _teacher_models(student, split, teachers, knowledge) | _student_models(config, split, alone, distilled)
    rows = _measure_rows(models, split, max(config["topk"]))
    teacher_rows = [
        _teacher_row(teacher, rows.pop(index, _unmeasured_row(teacher.file))) for index, teacher in enumerate(teachers)
    ]
    measured = all(teacher.ranks_held_out for teacher in teachers)
    if len(teachers) > 1 or config["neighbour_weight"]:
        lists = list_recommender(knowledge, student, split) if measured else None
        name, members = ("ensemble", teacher_rows) if len(teachers) > 1 else ("with_neighbours", [])
        rows = {name: _combined_row(members, lists, split), **rows}
    result: dict[str, Any] = {"teacher": teacher_rows[0]} if len(teachers) == 1 else {"teachers": teacher_rows}
    result |= _separate_widths(rows)
    result["distilled"]["method"] = config.method
    if alone and measured:
        result["recovered_share"] = _recovered_shares(result)  # before the metrics are rounded
    _round_metrics([*teacher_rows, *rows.values(), *result.get("widths", [])], config["metric_decimal_place"])
    if progress := (read_done_marker(distilled[2]) or {}).get("progress"):
        result["progress"] = progress
    result |= {**_teacher_settings(config), "config": _plain_settings(config), "versions": versions()}
    return cast(RunResult, result)


def _student_models(
    config: Config, split: Split, alone: TrainedModel | None, distilled: TrainedModel
) -> dict[Any, TrainedModel]:
    """The students that are measured, by the name of their row; those of ``kd_widths`` by their Width."""
    models: dict[Any, TrainedModel] = {"student_alone": alone} if alone else {}
    narrow = narrow_students(plain_config(config), split.train._dataset, distilled[2], config["kd_widths"] or ())
    return models | {"distilled": distilled} | narrow


def _separate_widths(rows: Mapping[Any, ModelRow]) -> dict[str, Any]:
    """The rows of the result by name; those of narrower students, whose names are ``Width``, as the list ``widths``."""
    widths = [{"width": name.value, **row} for name, row in rows.items() if isinstance(name, Width)]
    named = {name: row for name, row in rows.items() if not isinstance(name, Width)}
    return named | ({"widths": widths} if widths else {})


def _teacher_models(
    student: RecBoleConfig, split: Split, teachers: Sequence[Teacher], knowledge: Any
) -> dict[Any, TrainedModel]:
    """The models of the teachers that can be measured, by their index."""
    members = getattr(knowledge, "members", [knowledge])
    return {
        index: (teacher.config or student, teacher_recommender(teacher, member, student, split), teacher.file)
        for index, (teacher, member) in enumerate(zip(teachers, members, strict=True))
        if teacher.ranks_held_out
    }


def model_backbone(config: RecBoleConfig, model: Any, split: Split) -> Backbone | None:
    """A model with whom it is asked for on a split; None for lists, and for a model that no backbone can read.

    Args:
        config: the model's plain Config.
        model: a RecBole model, or what ``teacher_recommender`` makes of a teacher.
        split: the split of the run.
    """
    if isinstance(model, ListRecommender):
        return None
    if isinstance(model, LatestSequenceRecommender):
        model = model.model
    return backbone_of(model.eval(), queries_for(split, config))


def _teacher_row(teacher: Teacher, row: ModelRow) -> ModelRow:
    warning = {"warning": teacher.warning} if teacher.warning else {}
    return cast(ModelRow, {"label": teacher.label, **warning, **row})


def _measure_rows(models: Mapping[Any, TrainedModel], split: Split, k: int) -> dict[Any, ModelRow]:
    """A row for each model: timed together, then evaluated one after the other."""
    read = {name: model_backbone(config, model, split) for name, (config, model, _) in models.items()}
    speeds = latencies({name: backbone for name, backbone in read.items() if backbone is not None}, k)
    rows = {}
    for name, (config, model, file) in models.items():
        valid, test = evaluate(unrounded(config), model, split)
        rows[name] = model_row(model, file, valid, test, speeds.get(name))
    return rows


def _combined_row(members: Sequence[ModelRow], lists: Any, split: Split) -> ModelRow:
    """The row of a ranking that combines models: the metrics of its lists, and the sum of the costs of its members."""
    row: dict[str, Any] = {**_unmeasured_row(None)}
    if lists is not None:
        valid, test = evaluate(unrounded(lists.config), lists, split)
        row = {**model_row(lists, None, valid, test, None)}
    for cost in ("parameters", "bytes", "ms_per_user"):
        costs = [member[cost] for member in members if member[cost] is not None]  # None: a file of scores
        row[cost] = sum(costs) if costs else None
    return cast(ModelRow, row)


def _round_metrics(rows: Iterable[ModelRow], digits: int) -> None:
    for row in rows:
        row["valid_result"] = {name: round(value, digits) for name, value in row["valid_result"].items()}
        row["test_result"] = {name: round(value, digits) for name, value in row["test_result"].items()}


def recovered_share(
    method: Sequence[float], alone: Sequence[float], teacher: Sequence[float], smaller: bool = False
) -> float | None:
    """The share of the distance from the student alone to its teacher that a method covers.

    (method - alone) / (teacher - alone), of the means over the same seeds.

    Args:
        method: values of a metric, one for each seed.
        alone: the same for the student alone.
        teacher: the same for the teacher.
        smaller: whether a smaller value is better.

    Returns:
        The share; None without values, and where the teacher is not better than the student alone.

    >>> round(recovered_share([0.3], [0.2], [0.4]), 4)
    0.5
    """
    if not len(method):
        return None
    gap = float(np.mean(teacher) - np.mean(alone))
    return float(np.mean(method) - np.mean(alone)) / gap if (gap < 0 if smaller else gap > 0) else None


def _recovered_shares(result: Mapping[str, Any]) -> dict[str, float | None]:
    """The recovered share of each test metric; several teachers count as their ensemble."""
    names = ("distilled", "student_alone", "ensemble" if "ensemble" in result else "teacher")
    method, alone, teacher = (result[name]["test_result"] for name in names)
    return {
        metric: recovered_share([method[metric]], [alone[metric]], [teacher[metric]], smaller_is_better(metric))
        for metric in method
    }


def _teacher_settings(config: Config) -> dict[str, Any]:
    settings = [None if spec.config is None else _plain_settings(spec.config) for spec in config.teachers]
    return {"teacher_config": settings[0]} if len(settings) == 1 else {"teacher_configs": settings}


def _plain_settings(config: RecBoleConfig) -> dict[str, Any]:
    plain = (str, int, float, bool, type(None), list, dict)
    return {key: value if isinstance(value, plain) else str(value) for key, value in config.final_config_dict.items()}
