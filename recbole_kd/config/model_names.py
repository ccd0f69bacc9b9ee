"""The two ways to name a model: a RecBole model (``BPR``), or a class of another package (``package.module:Class``).

A config holds the class's name as ``model``, as RecBole expects it, and the full name as ``model_path`` where the class
is not RecBole's.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from recbole.config import Config as RecBoleConfig
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.utils import get_model

from recbole_kd.config.recbole_files import RECBOLE_PROPERTIES, is_recbole_model
from recbole_kd.errors import KDError

MODEL_PATH = "model_path"
EVALUATING_MODEL = "KD_DAGFM"  # its constructor passes a string of its config to eval
_DOTTED_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def is_model_path(name: object) -> bool:
    """Whether a name is of the form ``package.module:Class``."""
    return isinstance(name, str) and _DOTTED_PATH.fullmatch(name) is not None


def class_name(name: str) -> str:
    """The name of the class: ``Class`` of ``package.module:Class``; a RecBole model's name is its class's."""
    return name.rpartition(":")[2]


def resolve_model(name: str) -> type[AbstractRecommender]:
    """The class of a model; the module of a ``package.module:Class`` is imported.

    Use this for names that the user wrote. For a config that may come from a file use ``model_class_of``.

    Raises:
        KDError: the module cannot be imported, or has no such subclass of RecBole's AbstractRecommender.
        ImportError: a RecBole model needs a package that is not installed.
    """
    if not is_model_path(name):
        return _recbole_class(name)
    module_name = name.partition(":")[0]
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a module may fail with anything while it is imported
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise KDError(f"the model '{name}': the module '{module_name}' cannot be imported ({reason})") from error
    return _class_in(module, name)


def model_class_of(config: RecBoleConfig | Mapping[str, Any]) -> type[AbstractRecommender]:
    """The class of a config's model, in place of ``get_model(config["model"])``.

    A config may come from a file, and a file must not run code: a ``model_path`` is looked up among the modules that
    are imported already. A Config imports the modules of its models when it is built.

    Args:
        config: a RecBole Config, or the dict in a checkpoint.

    Raises:
        KDError: the module of ``model_path`` is not imported, or has no such model.
        ImportError: a RecBole model needs a package that is not installed.
    """
    name = model_reference(config)
    if not is_model_path(name):
        return _recbole_class(name)
    module_name = name.partition(":")[0]
    if module_name not in sys.modules:
        raise KDError(f"the model '{name}' is of another package: import {module_name} first, or name it as the model")
    return _class_in(sys.modules[module_name], name)


def is_known_model(config: RecBoleConfig | Mapping[str, Any]) -> bool:
    """Whether a config names a model of RecBole's, or one of a module that is imported. Nothing is imported."""
    name = model_reference(config)
    if not is_model_path(name):
        return is_recbole_model(name)
    try:
        model_class_of(config)
    except KDError:
        return False
    return True


def model_reference(config: RecBoleConfig | Mapping[str, Any]) -> str:
    """The name by which a config's model is found again: its ``model_path``, else its ``model``."""
    path = config[MODEL_PATH] if isinstance(config, RecBoleConfig) else config.get(MODEL_PATH)
    return str(path) if is_model_path(path) else config["model"]


def model_path_keys(name: str) -> dict[str, str]:
    """The key that a config needs beside ``model``; none for a RecBole model."""
    return {MODEL_PATH: name} if is_model_path(name) else {}


def model_file(name: str) -> Path:
    """The YAML file of a model's defaults, which need not exist: ``<Class>.yaml`` beside the module, or RecBole's."""
    if not is_model_path(name):
        return RECBOLE_PROPERTIES / "model" / f"{name}.yaml"
    return Path(inspect.getfile(resolve_model(name))).parent / f"{class_name(name)}.yaml"


def model_paths_in(keys: Mapping[str, Any]) -> list[str]:
    """The names of the form ``package.module:Class`` under ``student_model``, ``teacher_model`` and ``teachers``."""
    teachers = [entry.get("model") if isinstance(entry, Mapping) else entry for entry in _as_list(keys.get("teachers"))]
    names = [keys.get("student_model"), *_as_list(keys.get("teacher_model")), *teachers]
    return [str(name) for name in names if is_model_path(name)]


def _recbole_class(name: str) -> type[AbstractRecommender]:
    if name == EVALUATING_MODEL:
        raise KDError(f"{name} runs text of its settings as a program, so it is not used here: choose another model")
    return get_model(name)


def _as_list(value: object) -> Iterable[Any]:
    return value if isinstance(value, (list, tuple)) else [value]


def _class_in(module: ModuleType, name: str) -> type[AbstractRecommender]:
    model = getattr(module, class_name(name), None)
    if model is None:
        raise KDError(f"the model '{name}': the module '{module.__name__}' has no {class_name(name)}")
    if not (isinstance(model, type) and issubclass(model, AbstractRecommender)):
        raise KDError(f"the model '{name}' is not a subclass of RecBole's AbstractRecommender")
    if model.__name__ != class_name(name):
        raise KDError(
            f"the model '{name}' is an alias of the class {model.__name__}: write {model.__name__} after the colon"
        )
    if is_recbole_model(model.__name__):  # RecBole finds defaults, trainers and files by the class's name
        raise KDError(f"the model '{name}' has the name of a RecBole model: rename the class")
    return model
