"""The keys of recbole_kd, by method, with their types, ranges and meanings, read from our YAML files."""

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recbole_kd.config.key_files import PROPERTIES, Key, read_keys
from recbole_kd.config.plugins import broken_entry_points, cache_until_method_added, method_plugins
from recbole_kd.config.recbole_files import is_recbole_model
from recbole_kd.config.recbole_schema import learning_keys, recbole_keys
from recbole_kd.errors import KDError, did_you_mean

__all__ = [
    "MODEL_LEVEL_KEYS",
    "ONE_SIDE_KEYS",
    "PROPERTIES",
    "RUN_LEVEL_KEYS",
    "check_method_name",
    "describe_method",
    "explain_keys",
    "is_default",
    "is_recbole_model",
    "kd_keys",
    "method_keys",
    "method_names",
    "resolve_terms",
    "space_file",
    "student_only_keys",
    "term_names",
]

# our keys that belong to a model, distilled or not: a plain Config keeps them where they are set
MODEL_LEVEL_KEYS = ("eval_mask", "init_data_path", "init_from", "init_std", "kd_reduction")
ONE_SIDE_KEYS = ("init_data_path", "init_from", "init_std", "kd_reduction")  # those that the block of one side may set
RUN_LEVEL_KEYS = ("dataset", "config_files", "gpu_id", "use_gpu")  # keys of RecBole that all models of a run share


def _method_file(method: str) -> Path:
    plugin = method_plugins().get(method)
    return plugin.method_yaml if plugin else PROPERTIES / "method" / f"{method}.yaml"


def space_file(name: str) -> Path:
    """The file of what ``tune`` searches for a method, ``alone`` or ``teacher``; it need not exist."""
    plugin = method_plugins().get(name)
    return plugin.space_yaml if plugin and plugin.space_yaml else PROPERTIES / "space" / f"{name}.yaml"


def method_names() -> list[str]:
    """The names that ``--model=`` takes: our methods and those of other packages, in alphabetical order."""
    return sorted({path.stem for path in (PROPERTIES / "method").glob("*.yaml")} | set(method_plugins()))


def check_method_name(name: object) -> None:
    """Refuse a name that is not a method's. Raises KDError, with the nearest name or the reason."""
    if name in method_names():
        return
    if str(name) in broken_entry_points():
        raise KDError(broken_entry_points()[str(name)])
    if is_recbole_model(name):
        raise KDError(f"'{name}' is a RecBole model, not a method: write --model=MKD --student_model={name}")
    raise KDError(f"unknown method '{name}'{did_you_mean(str(name), method_names())}")


def term_names(method: str) -> tuple[str, ...]:
    """The terms of a method, in the order of its YAML file.

    A method without the key ``terms`` is one term of the same name. Empty where the user names the terms.
    """
    terms = read_keys(_method_file(method)).get("terms")
    return (method,) if terms is None else tuple(terms.default)


def resolve_terms(method: str, terms: Any) -> tuple[str, ...]:
    """The terms of a method, where the user's ``terms`` are given, or None.

    Raises:
        KDError: the method has other terms, or takes terms and these are not a list of different ones.
    """
    fixed = term_names(method)
    if fixed:
        if terms is not None and terms != list(fixed):
            raise KDError(f"terms={terms!r}: {method} is made of {', '.join(fixed)}")
        return fixed
    known = [name for name in method_names() if term_names(name) == (name,)]
    if not isinstance(terms, (list, tuple)) or not terms or len(set(map(str, terms))) < len(terms):
        raise KDError(f"terms={terms!r}: {method} takes a list of different terms, such as ['NKD', 'SLD']")
    for name in terms:
        if name not in known:
            raise KDError(f"terms={terms!r}: unknown term {name!r}{did_you_mean(str(name), known)}")
    return tuple(terms)


def method_keys(method: str, terms: Sequence[str] | None = None) -> dict[str, Key]:
    """The keys of a method by name: those of all methods, those of its terms, its own.

    Where several have a key the later one wins, the method's own above all. Among the terms the smallest default of
    ``kd_rows`` wins, in whatever order they are given.

    Args:
        method: a method's name.
        terms: the terms of a free mix; the method's own where None.
    """
    keys = dict(read_keys(PROPERTIES / "overall.yaml"))
    default_rows = keys["kd_rows"]
    of_terms = [read_keys(_method_file(name)) for name in terms or term_names(method)]
    for term_keys in of_terms:
        keys.update(term_keys)
    rows = (term_keys.get("kd_rows", default_rows) for term_keys in of_terms)
    keys["kd_rows"] = min(rows, key=lambda key: key.default, default=default_rows)
    keys.update(read_keys(_method_file(method)))
    return keys


def is_default(name: str, value: Any) -> bool:
    """Whether a value of one of our keys for all methods is its default, which changes nothing."""
    return value in (None, read_keys(PROPERTIES / "overall.yaml")[name].default)


def describe_method(method: str) -> tuple[str, str, str]:
    """Three sentences from the head of a method's YAML file: what it does, its paper, how faithful its form is."""
    text = _method_file(method).read_text(encoding="utf-8")
    head = re.match(r"# \w+: (.*)\n# Paper: (.*)\n# Sure: (.*)\n", text)
    return (head[1], head[2], head[3]) if head else ("", "", "")


def explain_keys(method: str, terms: Sequence[str] | None = None) -> list[tuple[str, str, str, str]]:
    """The keys of a method, a row each: name, default, type and range, meaning."""
    return [
        (key.name, "" if key.default is None else str(key.default), f"{key.type} {key.range}".strip(), key.meaning)
        for key in method_keys(method, terms).values()
    ]


@cache_until_method_added
def kd_keys() -> frozenset[str]:
    """All keys of ours, whatever the method, without RecBole's own keys."""
    names = set(read_keys(PROPERTIES / "overall.yaml")) | {"terms"}
    for method in method_names():
        names |= set(read_keys(_method_file(method)))
    return frozenset(names - recbole_keys())


@functools.cache
def student_only_keys(*models: str) -> frozenset[str]:
    """RecBole's keys that say how a model is built and learns: a plain one of these reaches the student alone.

    Args:
        models: names of models of other packages, whose keys belong here too.
    """
    return learning_keys(*models) | set(ONE_SIDE_KEYS)
