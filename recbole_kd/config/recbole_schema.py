"""The keys of RecBole: those in its lists and YAML files, and those that its source code reads."""

import functools
import inspect
import re
from pathlib import Path

import recbole
from recbole.utils import get_model

from recbole_kd.config.yaml_loader import read_yaml

RECBOLE = Path(recbole.__file__).parent
RECBOLE_PROPERTIES = RECBOLE / "properties"


@functools.cache
def recbole_keys():
    """The keys in RecBole's lists and YAML files."""
    from recbole.utils import argument_list

    names = {"model", "dataset", "config_files", "MODEL_TYPE", "MODEL_INPUT_TYPE"}
    for values in vars(argument_list).values():
        names |= set(values) if isinstance(values, list) else set()
    for path in RECBOLE_PROPERTIES.rglob("*.yaml"):
        if not path.stem.startswith("url") and path.stem != "kg_url":
            names |= top_level_keys(path)
    return frozenset(names)


def model_keys(model):
    """The keys in a RecBole model's own YAML; empty where it has none."""
    path = RECBOLE_PROPERTIES / "model" / f"{model}.yaml"
    return top_level_keys(path) if path.exists() else set()


def top_level_keys(path):
    return set(re.findall(r"^(\w+)\s*:", path.read_text(encoding="utf-8"), re.M))


@functools.cache
def recbole_reads(key):
    """Whether RecBole's source reads a key that stands in none of its lists (``encoding``, ``tail_ratio``, …)."""
    pattern = re.compile(rf"""config(?:_dict)?(?:\[|\.get\()\s*["']{re.escape(key)}["']""")
    return any(pattern.search(path.read_text(encoding="utf-8")) for path in RECBOLE.rglob("*.py"))


SHARED_FOLDERS = (
    "config",
    "data",
    "evaluator",
    "sampler",
    "utils",
)  # folders of RecBole's that every model goes through


def source_reads(key, text):
    return re.search(rf"""config(?:_dict)?(?:\[|\.get\()\s*["']{re.escape(key)}["']""", text) is not None


@functools.cache
def model_source(model):
    """The text of RecBole's files that a model's class and those above it stand in."""
    kinds = (kind for kind in get_model(model).__mro__ if kind.__module__.startswith("recbole."))
    return "".join(Path(file).read_text(encoding="utf-8") for file in {inspect.getfile(kind) for kind in kinds})


@functools.cache
def shared_source():
    files = (
        file for folder in SHARED_FOLDERS for file in (RECBOLE / folder).rglob("*.py") if file.stem != "argument_list"
    )
    return "".join(file.read_text(encoding="utf-8") for file in files)


@functools.cache
def recbole_numbers():
    """RecBole's shared keys that are numbers, by its own YAML's comments. dict of name to ``int`` or ``float``."""
    text = (RECBOLE_PROPERTIES / "overall.yaml").read_text(encoding="utf-8")
    return dict(re.findall(r"^(\w+):.*#\s*\((int|float)\)", text, re.M))


@functools.cache
def recbole_defaults(file="overall"):
    """What RecBole's YAML for all models, or ``model/BPR``, say, sets, a dict; empty where there is none."""
    path = RECBOLE_PROPERTIES / f"{file}.yaml"
    return read_yaml(path) if path.is_file() else {}
