"""Our YAML files: each line holds a key, its default and, in a comment, its type, range and meaning."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recbole_kd.errors import KDError

_PACKAGE = Path(__file__).resolve().parent.parent
# inside an installed package, beside it in a checkout
PROPERTIES = next(path for path in (_PACKAGE / "properties", _PACKAGE.parent / "properties") if path.is_dir())
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
_ONE_OR_MORE = {"names": "name, or a list of names", "paths": "path, or a list of paths"}


@dataclass(frozen=True)
class Key:
    """One key of ours.

    Attributes:
        name: the key.
        default: its value where the user gives none.
        type: ``int``, ``float``, ``str``, ``path``, ``bool``, ``list``, ``names`` or ``paths``.
        range: an interval such as ``[0, inf)``, or the allowed words such as ``{mean, sum}``, or empty.
        meaning: one sentence.
    """

    name: str
    default: Any
    type: str
    range: str
    meaning: str

    def check(self, value: Any) -> Any:
        """Return ``value``; raise KDError where its type or range does not fit."""
        if value is None and self.default is None:
            return value
        fits = isinstance(value, _TYPES[self.type]) and (self.type == "bool" or not isinstance(value, bool))
        if fits and self.type in _ONE_OR_MORE and not isinstance(value, str):
            fits = all(isinstance(element, str) for element in value)
        if fits and self.range.startswith("{"):
            fits = value in self.range[1:-1].split(", ")
        elif fits and self.range:
            fits = _in_interval(value, self.range)
        if not fits:
            allowed = _ONE_OR_MORE.get(self.type, self.type)
            allowed = f"value of type {self.type} in {self.range}" if self.range else allowed
            raise KDError(f"{self.name}={value!r} is out of range: it takes a {allowed} (default {self.default!r})")
        return value


def _in_interval(value: float, interval: str) -> bool:
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = value > low or (interval[0] == "[" and value == low)
    below = value < high or (interval[-1] == "]" and value == high)
    return above and below  # False for NaN; an open bound of inf excludes inf


@functools.cache
def read_keys(path: Path) -> dict[str, Key]:
    """The keys of a YAML file, by name.

    Raises:
        KDError: a key without a comment of the form ``# (type) range meaning``.
        OSError, yaml.YAMLError: the file cannot be read.
    """
    text = path.read_text(encoding="utf-8")
    defaults = yaml.safe_load(text) or {}
    if not isinstance(defaults, Mapping):
        raise KDError(f"{path}: the file does not hold 'key: value' lines")
    lines = {match["name"]: match for match in _KEY_LINE.finditer(text)}
    undocumented = sorted(map(str, set(defaults) - set(lines)))
    if undocumented:
        raise KDError(f"{path}: {undocumented} lacks a comment of the form '# (type) range meaning'")
    return {
        name: Key(name, defaults[name], match["type"], match["range"] or "", match["meaning"])
        for name, match in lines.items()
    }
