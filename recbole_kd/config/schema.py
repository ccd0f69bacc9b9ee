"""The keys of recbole_kd, read with their types, ranges and meanings from the comments of our YAML files."""

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recbole_kd.config.recbole_schema import RECBOLE, RECBOLE_PROPERTIES, recbole_keys, top_level_keys
from recbole_kd.errors import KDError, did_you_mean

PACKAGE = Path(__file__).resolve().parent.parent
# inside an installed package, beside it in a checkout
PROPERTIES = next(path for path in (PACKAGE / "properties", PACKAGE.parent / "properties") if path.is_dir())
_KEY_LINE = re.compile(
    r"^(?P<name>\w+):.*?#\s*\((?P<type>\w+)\)\s*(?P<range>[\[(][^\])]*,[^\])]*[\])]|\{[^}]*\})?\s*(?P<meaning>.*)$",
    re.M,
)
_TYPES: dict[str, Any] = {
    "int": int,
    "float": (int, float),
    "str": str,
    "path": str,
    "bool": bool,
    "list": (list, tuple),
    "names": (str, list, tuple),  # one or several
    "paths": (str, list, tuple),
}
# keys of ours that are of a model, distilled or not: a plain Config keeps them where they are set
MODEL_LEVEL_KEYS = ("eval_mask", "init_std", "kd_reduction")
ONE_SIDE_KEYS = ("init_std", "kd_reduction")  # those that may stand in the block of one side
RUN_LEVEL_KEYS = ("dataset", "config_files", "gpu_id", "use_gpu")  # keys of RecBole's that all models of a run share
_ONE_OR_MORE = {"names": "name, or a list of names", "paths": "path, or a list of paths"}


@dataclass(frozen=True)
class Key:
    """One of our keys, as its YAML line says."""

    name: str
    default: object
    type: str
    range: str
    meaning: str

    def check(self, value):
        """Return ``value``; raise KDError where type or range does not fit."""
        if value is None and self.default is None:
            return value
        fits = isinstance(value, _TYPES[self.type]) and (self.type == "bool" or not isinstance(value, bool))
        if fits and self.type in _ONE_OR_MORE and not isinstance(value, str):
            fits = all(isinstance(inner, str) for inner in value)
        if fits and self.range.startswith("{"):
            fits = value in self.range[1:-1].split(", ")
        elif fits and self.range:
            fits = _in_interval(value, self.range)
        if not fits:
            wanted = (
                f"value of type {self.type} in {self.range}" if self.range else _ONE_OR_MORE.get(self.type, self.type)
            )
            raise KDError(f"{self.name}={value!r} is out of range: it takes a {wanted} (default {self.default!r})")
        return value


def _in_interval(value, interval):
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = value > low or (interval[0] == "[" and value == low)
    below = value < high or (interval[-1] == "]" and value == high)
    return above and below  # false for NaN; an open bound of inf keeps inf out


@functools.cache
def read_keys(path):
    text = path.read_text(encoding="utf-8")
    defaults = yaml.safe_load(text) or {}
    keys = {}
    for match in _KEY_LINE.finditer(text):
        keys[match["name"]] = Key(
            match["name"], defaults[match["name"]], match["type"], match["range"] or "", match["meaning"]
        )
    undocumented = set(defaults) - set(keys)
    if undocumented:
        raise KDError(f"{path}: {sorted(undocumented)} lacks a comment of the form '# (type) range meaning'")
    return keys


def _yaml_of(method):
    return PROPERTIES / "method" / f"{method}.yaml"


def method_names():
    """The names that ``--model=`` takes: one YAML each."""
    return sorted(path.stem for path in (PROPERTIES / "method").glob("*.yaml"))


def term_names(method):
    """The terms of a method, in the order of its YAML; a method without ``terms`` is one term of its own name. None
    where the user names them.
    """
    terms = read_keys(_yaml_of(method)).get("terms")
    return tuple(terms.default) if terms else (method,)


def resolve_terms(method, asked):
    """The terms of a method for a user who ``asked`` for some, or for nothing where None. Raises KDError."""
    fixed = term_names(method)
    if fixed:
        if asked is not None and asked != list(fixed):
            raise KDError(f"terms={asked!r}: {method} is made of {', '.join(fixed)}")
        return fixed
    terms = [name for name in method_names() if term_names(name) == (name,)]
    if not isinstance(asked, (list, tuple)) or not asked or len(set(map(str, asked))) < len(asked):
        raise KDError(f"terms={asked!r}: {method} takes a list of different terms, such as ['NKD', 'SLD']")
    for name in asked:
        if name not in terms:
            raise KDError(f"terms={asked!r}: nobody knows the term {name!r}{did_you_mean(str(name), terms)}")
    return tuple(asked)


def method_keys(method, terms=None):
    """The keys of a method: what all share, its terms', its own. Of a key that several have the later one wins, its own
    above all; among the terms of ``kd_rows`` the smallest, in whatever order they stand. dict of name to Key.
    """
    keys = dict(read_keys(PROPERTIES / "overall.yaml"))
    shared, those = keys["kd_rows"], [read_keys(_yaml_of(name)) for name in terms or term_names(method)]
    for own in those:
        keys.update(own)
    keys["kd_rows"] = min((own.get("kd_rows", shared) for own in those), key=lambda key: key.default, default=shared)
    keys.update(read_keys(_yaml_of(method)))
    return keys


def is_default(name, value):
    """Whether one of the keys OF_MODELS says what RecBole does anyway."""
    return value in (None, read_keys(PROPERTIES / "overall.yaml")[name].default)


def describe_method(method):
    """The head of a method's YAML: what it does, its paper, how sure its form is. Three sentences."""
    head = re.match(r"# \w+: (.*)\n# Paper: (.*)\n# Sure: (.*)\n", _yaml_of(method).read_text(encoding="utf-8"))
    return head.groups() if head else ("", "", "")


def explain_keys(method, terms=None):
    """The keys of a method, a line each: name, default, type and range, meaning."""
    return [
        (key.name, "" if key.default is None else str(key.default), f"{key.type} {key.range}".strip(), key.meaning)
        for key in method_keys(method, terms).values()
    ]


@functools.cache
def kd_keys():
    """All keys of ours, whatever the method, RecBole's own keys left out."""
    names = set(read_keys(PROPERTIES / "overall.yaml")) | {"terms"}
    for method in method_names():
        names |= set(read_keys(_yaml_of(method)))
    return frozenset(names - recbole_keys())


@functools.cache
def student_only_keys():
    """RecBole's keys that say how a model is and learns; a plain one of these reaches the student alone."""
    names = {"learner", "learning_rate", "weight_decay", *ONE_SIDE_KEYS}
    for path in (RECBOLE_PROPERTIES / "model").glob("*.yaml"):
        names |= top_level_keys(path)
    shared = top_level_keys(RECBOLE_PROPERTIES / "overall.yaml") | top_level_keys(
        RECBOLE_PROPERTIES / "dataset/sample.yaml"
    )
    return frozenset((names - shared) | {"learner", "learning_rate", "weight_decay"})


def is_recbole_model(name):
    """Whether RecBole brings a model class of this very name."""
    if not isinstance(name, str) or name in method_names() or not name.isidentifier():
        return False
    files = (RECBOLE / "model").glob(f"*_recommender/{name.lower()}.py")
    return any(f"class {name}(" in file.read_text(encoding="utf-8") for file in files)
