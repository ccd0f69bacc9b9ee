"""The keys of RecBole: those in its lists and YAML files, and those that its source code reads."""

import functools
import inspect
import re
from pathlib import Path
from typing import Any

from recbole.config import Config
from recbole.utils import argument_list

from recbole_kd.config.model_names import class_name, is_model_path, model_file, resolve_model
from recbole_kd.config.recbole_files import RECBOLE, RECBOLE_PROPERTIES, top_level_keys
from recbole_kd.config.yaml_loader import read_yaml

# folders of RecBole that every model passes through
COMMON_FOLDERS = ("config", "data", "evaluator", "sampler", "utils")


@functools.cache
def recbole_keys() -> frozenset[str]:
    """The keys in RecBole's lists and YAML files."""
    names = {"model", "dataset", "config_files", "MODEL_TYPE", "MODEL_INPUT_TYPE"}
    for values in vars(argument_list).values():
        names |= set(values) if isinstance(values, list) else set()
    for path in RECBOLE_PROPERTIES.rglob("*.yaml"):
        if not path.stem.startswith("url") and path.stem != "kg_url":
            names |= top_level_keys(path)
    return frozenset(names)


def model_keys(model: str) -> set[str]:
    """The keys in the YAML file of a model; empty where it has none."""
    path = model_file(model)
    return top_level_keys(path) if path.is_file() else set()


def reads_key(key: str, source: str) -> bool:
    return re.search(rf"""config(?:_dict)?(?:\[|\.get\()\s*["']{re.escape(key)}["']""", source) is not None


@functools.cache
def recbole_reads(key: str) -> bool:
    """Whether RecBole's source reads a key, listed or not (``encoding`` and ``tail_ratio`` are not)."""
    return any(reads_key(key, path.read_text(encoding="utf-8")) for path in RECBOLE.rglob("*.py"))


def model_reads(model: str, key: str) -> bool:
    """Whether a model can read a key: its YAML file has it, or its source or RecBole's common source reads it."""
    return key in model_keys(model) or reads_key(key, model_source(model)) or reads_key(key, _common_source())


@functools.cache
def model_source(model: str) -> str:
    """The source of a model's class and its base classes, without torch's."""
    package = model.partition(":")[0] if is_model_path(model) else "recbole"
    modules = ("recbole", package.partition(".")[0])
    classes = (base for base in resolve_model(model).__mro__ if base.__module__.partition(".")[0] in modules)
    return "".join(Path(file).read_text(encoding="utf-8") for file in {inspect.getfile(base) for base in classes})


@functools.cache
def _common_source() -> str:
    files = (file for folder in COMMON_FOLDERS for file in (RECBOLE / folder).rglob("*.py"))
    return "".join(file.read_text(encoding="utf-8") for file in files if file.stem != "argument_list")


@functools.cache
def other_parameter_names(model: str) -> frozenset[str] | None:
    """What a model keeps in its checkpoint beside its weights, by its source; None where the source does not tell."""
    source = model_source(model)
    lists = re.findall(r"other_parameter_name\s*=\s*\[(.*?)\]", source, re.S)
    if len(lists) != len(re.findall(r"other_parameter_name\s*=", source)):
        return None
    return frozenset(name for names in lists for name in re.findall(r"""["'](\w+)["']""", names))


@functools.cache
def recbole_numbers() -> dict[str, str]:
    """RecBole's shared keys that are numbers: name to ``int`` or ``float``, by the comments in its YAML file."""
    text = (RECBOLE_PROPERTIES / "overall.yaml").read_text(encoding="utf-8")
    return dict(re.findall(r"^(\w+):.*#\s*\((int|float)\)", text, re.M))


@functools.cache
def recbole_texts() -> frozenset[str]:
    """RecBole's shared keys that are texts, by the comments in its YAML files."""
    files = ("overall", "dataset/sample")
    text = "\n".join((RECBOLE_PROPERTIES / f"{file}.yaml").read_text(encoding="utf-8") for file in files)
    # rm_dup_inter is one of three words or none; an interval may be given as a list
    return frozenset(re.findall(r"^(\w+):.*#\s*\(str\)", text, re.M)) - {"eval_args"}


@functools.cache
def recbole_defaults(file: str = "overall") -> dict[str, Any]:
    """What a YAML file in RecBole's properties sets, ``overall`` or ``dataset/sample``."""
    return read_yaml(RECBOLE_PROPERTIES / f"{file}.yaml")


@functools.cache
def model_defaults(model: str) -> dict[str, Any]:
    """What the YAML file of a model sets; empty where it has none."""
    path = model_file(model)
    return read_yaml(path) if path.is_file() else {}


@functools.cache
def protocol_defaults(model: str, dataset: str) -> dict[str, Any]:
    """RecBole's defaults for a model on a dataset: those that depend on the model's family are among them.

    Args:
        model: a RecBole model's name, or ``package.module:Class``.
        dataset: the dataset's name, since RecBole has defaults of its own for ml-100k.
    """
    reader = object.__new__(Config)  # the part of RecBole's Config that reads its YAML files
    reader.parameters = {"Dataset": []}
    reader.yaml_loader = reader._build_yaml_loader()
    reader._load_internal_config_dict(class_name(model), resolve_model(model), dataset)
    return reader.internal_config_dict


@functools.cache
def learning_keys(*models: str) -> frozenset[str]:
    """The keys that say how a model is built and learns: a plain one of these reaches the student alone.

    Args:
        models: names of models of other packages, whose YAML files are read too.
    """
    names = {"learner", "learning_rate", "weight_decay"}
    common = top_level_keys(RECBOLE_PROPERTIES / "overall.yaml")
    common |= top_level_keys(RECBOLE_PROPERTIES / "dataset/sample.yaml")
    for path in (RECBOLE_PROPERTIES / "model").glob("*.yaml"):
        names |= top_level_keys(path) - common
    for model in models:
        names |= model_keys(model) - common if is_model_path(model) else set()
    return frozenset(names)
