"""Which of RecBole's keys are read in a run: by its models, their datasets and trainers, its metrics, or all runs."""

import functools
import importlib
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recbole.evaluator import metrics as metric_module
from recbole.utils import ModelType, get_trainer

from recbole_kd.config.model_names import class_name, resolve_model
from recbole_kd.config.recbole_files import RECBOLE, RECBOLE_PROPERTIES, top_level_keys
from recbole_kd.config.recbole_schema import model_keys, model_source, reads_key

_NEGATIVES = "RecBole replaced it: write train_neg_sample_args={distribution: uniform, sample_num: 1}"
# RecBole sets these itself, whatever the user writes
OVERWRITTEN = {
    "device": "RecBole chooses it by gpu_id: write gpu_id",
    "neg_sampling": _NEGATIVES,
    "training_neg_sample_num": _NEGATIVES,
    "valid_neg_sample_args": "eval_args sets it: write eval_args={mode: uni100}",
    "test_neg_sample_args": "eval_args sets it: write eval_args={mode: uni100}",
    "eval_type": "the metrics decide it: leave it out",
    "valid_metric_bigger": "valid_metric decides it: leave it out",
    "MODEL_TYPE": "the model decides it: leave it out",
    "MODEL_INPUT_TYPE": "the model decides it: leave it out",
    "local_rank": "nproc and torchrun decide it: leave it out",
    "single_spec": "nproc and torchrun decide it: leave it out",
    "offset": "group_offset decides it: write group_offset",
    "config_file": "files are named by config_files: write config_files",
}
COMMON_FILES = (
    *("config/configurator.py", "data/utils.py", "data/transform.py", "data/interaction.py"),
    *("data/dataloader/abstract_dataloader.py", "data/dataloader/general_dataloader.py"),
    *("data/dataloader/user_dataloader.py", "sampler/sampler.py", "utils/utils.py", "utils/logger.py"),
    *("utils/wandblogger.py", "evaluator/base_metric.py", "evaluator/collector.py", "evaluator/evaluator.py"),
    *("evaluator/register.py", "evaluator/utils.py"),
)
FAMILY_FILES = {
    ModelType.KNOWLEDGE: ("data/dataloader/knowledge_dataloader.py",),
    ModelType.SEQUENTIAL: ("model/layers.py",),
    ModelType.CONTEXT: ("model/layers.py",),
}
DATASETS = {
    ModelType.SEQUENTIAL: "SequentialDataset",
    ModelType.KNOWLEDGE: "KnowledgeBasedDataset",
    ModelType.DECISIONTREE: "DecisionTreeDataset",
}


def reason_unread(key: str, models: Iterable[str], metrics: Any) -> str | None:
    """Why a key of RecBole's has no effect in a run, with what to write instead; None where something reads it.

    Args:
        key: the key.
        models: the models of the run.
        metrics: the value of ``metrics``.
    """
    if key in OVERWRITTEN:
        return f"{key} changes nothing, because {OVERWRITTEN[key]}"
    names = list(models)
    if key in _shared_keys() or any(_model_reads(model, key) for model in names):
        return None
    if any(reads_key(key, _metric_source(str(metric).lower())) for metric in _as_list(metrics)):
        return None
    readers = " and ".join(dict.fromkeys(map(class_name, names)))
    return f"{key} changes nothing, because no part of RecBole reads it for {readers}: leave it out"


def reason_labels_unused(threshold: Any, models: Iterable[str], eval_args: Any) -> str | None:
    """Why ``threshold``, which sets labels, has no effect; None where a model or the evaluation reads labels.

    Args:
        threshold: its value.
        models: the models of the run.
        eval_args: the value of ``eval_args``.
    """
    if "labeled" in str(eval_args) or any(map(_reads_labels, models)):
        return None
    column, limit = next(iter(threshold.items())) if isinstance(threshold, dict) and threshold else ("rating", 4)
    return (
        "threshold changes nothing, because it sets labels, and these models learn from positives alone: to keep "
        f"positives only write val_interval={{'{column}': '[{limit},inf)'}}"
    )


@functools.cache
def _reads_labels(model: str) -> bool:
    classes = (kind for kind in resolve_model(model).__mro__ if kind.__module__.partition(".")[0] != "torch")
    return any(reads_key("LABEL_FIELD", inspect.getsource(kind)) for kind in classes if kind is not object)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


@functools.cache
def _shared_keys() -> frozenset[str]:
    """The keys in RecBole's file for all runs. Those of its sample of a dataset are read by kinds of datasets."""
    return frozenset(top_level_keys(RECBOLE_PROPERTIES / "overall.yaml"))


@functools.cache
def _model_reads(model: str, key: str) -> bool:
    try:
        source = _run_source(model)
    except ImportError:  # LightGBM and XGBoost import packages of these names
        return True
    is_alias = f'_set_alias("{key.removeprefix("alias_of_")}"' in source  # RecBole composes these names
    return key in model_keys(model) or is_alias or reads_key(key, source)


@functools.cache
def _run_source(model: str) -> str:
    """The source of what a training of a model passes through: its class, its dataset's and its trainer's, and more."""
    model_class = resolve_model(model)
    name, family = class_name(model), model_class.type
    module = importlib.import_module("recbole.data.dataset")
    dataset = getattr(module, f"{name}Dataset", None) or getattr(module, DATASETS.get(family, "Dataset"))
    classes = [*dataset.__mro__, *get_trainer(family, name).__mro__]
    files = {inspect.getfile(kind) for kind in classes if kind.__module__.startswith("recbole.data.dataset")}
    trainers = (kind for kind in classes if kind.__module__.startswith("recbole.trainer"))
    shared = (RECBOLE / file for file in (*COMMON_FILES, *FAMILY_FILES.get(family, ())) if (RECBOLE / file).is_file())
    texts = [Path(file).read_text(encoding="utf-8") for file in (*files, *shared)]
    return "".join([model_source(model), *texts, *map(inspect.getsource, trainers)])


@functools.cache
def _metric_source(name: str) -> str:
    """The source of a metric and its base classes, by its name in lower case; empty for an unknown one."""
    result = (kind for kind in vars(metric_module).values() if isinstance(kind, type) and kind.__name__.lower() == name)
    bases = (base for kind in result for base in kind.__mro__ if base.__module__.startswith("recbole"))
    return "".join(map(inspect.getsource, bases))
