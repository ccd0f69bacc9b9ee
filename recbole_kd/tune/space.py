"""A search space: a YAML file with the keys to try and their values, in the notation of the keys' ranges.

rrd_weight: [0.1, 10, log]      # an interval, drawn uniformly on a logarithmic scale
rrd_temperature: [5, 20]        # an interval, drawn uniformly; integers where the key takes an int
rrd_k: {20, 50, 100}            # one of these values
"""

import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recbole.config import Config as RecBoleConfig
from recbole.utils import ModelType

from recbole_kd.config.configurator import Config
from recbole_kd.config.layering import Layers
from recbole_kd.config.model_names import model_reference
from recbole_kd.config.recbole_schema import model_keys, recbole_numbers
from recbole_kd.config.schema import kd_keys, method_keys, resolve_terms, space_file, student_only_keys
from recbole_kd.config.yaml_loader import read_yaml
from recbole_kd.errors import KDError, did_you_mean
from recbole_kd.method.configuration import build_config
from recbole_kd.tune.types import Settings

SIDES = ("method", "alone", "teacher")
BLOCK = {"alone": "student", "teacher": "teacher"}
DIGITS = 3  # significant digits of a drawn number, to keep recipes readable
LEARNING = {"learner", "learning_rate", "weight_decay", "train_batch_size"}
FORMS = "write an interval such as [5, 20] or [0.1, 10, log], or a set such as {20, 50, 100}"


@dataclass(frozen=True)
class Interval:
    """The numbers between two bounds, both included; integers if both bounds are ints.

    Attributes:
        low: the lower bound.
        high: the upper bound.
        log: whether to draw uniformly on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False

    @property
    def is_integer(self) -> bool:
        """Whether the interval holds integers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def checked_values(self) -> tuple[Any, ...]:
        """The values that are tried on the Config when the space is checked: the two bounds."""
        return (self.low, self.high)

    def __str__(self) -> str:
        return f"[{self.low}, {self.high}{', log' if self.log else ''}]"

    def at(self, share: float) -> float:
        """The value at a share in [0, 1) of the interval.

        >>> Interval(0.01, 1.0, log=True).at(0.5), Interval(3, 70).at(0.5)
        (0.1, 36)
        """
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = low + share * (high - low)
        return self.rounded(math.exp(value) if self.log else value)

    def holds(self, value: Any) -> bool:
        """Whether a value lies in the interval, and is an integer if the interval holds no others."""
        kinds = (int,) if self.is_integer else (int, float)
        return type(value) in kinds and self.low <= value <= self.high

    def rounded(self, value: float) -> float:
        """A value rounded to an integer or to three significant digits, kept within the bounds."""
        value = round(value) if self.is_integer else float(f"{value:.{DIGITS}g}")
        return min(max(value, self.low), self.high)


@dataclass(frozen=True)
class Choice:
    """A finite set of values.

    Attributes:
        values: the values, in the order of the file.
    """

    values: tuple[Any, ...]

    @property
    def checked_values(self) -> tuple[Any, ...]:
        """The values that are tried on the Config when the space is checked: all of them."""
        return self.values

    def __str__(self) -> str:
        return f"{{{', '.join(map(str, self.values))}}}"

    def at(self, share: float) -> Any:
        """The value at a share in [0, 1) of the values.

        >>> Choice(("a", "b")).at(0.4), Choice(("a", "b")).at(0.5)
        ('a', 'b')
        """
        return self.values[int(share * len(self.values))]

    def holds(self, value: Any) -> bool:
        """Whether a value is one of these."""
        return any(value == known and type(value) is type(known) for known in self.values)


Space = dict[str, Interval | Choice]
"""The values to try, by key."""


def read_space(file: Path | str) -> Space:
    """The space in a YAML file.

    Raises:
        KDError: a file that cannot be read, or an entry that is neither an interval nor a set.
    """
    content = read_yaml(file, "space")
    if not content:
        raise KDError(f"the space '{file}' names no key: write a line such as rrd_weight: [0.1, 10, log]")
    return {str(key): _parse_entry(str(key), value, file) for key, value in content.items()}


def default_space(side: str, method: str, terms: Any = None) -> Space:
    """The space that comes with a method, or with another side.

    Args:
        side: ``method``, ``alone`` or ``teacher``.
        method: the method's name.
        terms: the terms of a mix, whose spaces are joined.

    Raises:
        KDError: no space comes with the method, or a mix names no terms.
    """
    names: tuple[str, ...] = (side,) if side != "method" else (method,)
    if side == "method" and not space_file(method).is_file():
        names = resolve_terms(method, terms)
    space: Space = {}
    for name in names:
        if not space_file(name).is_file():
            raise KDError(f"no space comes with {name}: write one and give it as --space=")
        space |= read_space(space_file(name))
    return space


def _parse_entry(key: str, value: Any, file: Path | str) -> Interval | Choice:
    if isinstance(value, dict) and _is_choice(value):
        return Choice(tuple(value))
    if not isinstance(value, list) or not _is_interval(value):
        raise KDError(f"{key}={value!r} in the space '{file}' is neither an interval nor a set: {FORMS}")
    low, high = value[:2]
    log = len(value) == 3
    if low >= high or (log and low <= 0):
        raise KDError(
            f"{key}={value!r} in the space '{file}' holds nothing: the first end has to be the smaller one"
            + (", and above 0 for log" if log else "")
        )
    return Interval(low, high, log)


def _is_choice(value: dict[Any, Any]) -> bool:
    """Whether a YAML mapping is of the form {a, b}, which YAML reads as keys without values."""
    has_plain_names = all(isinstance(name, (bool, int, float, str)) for name in value)
    return bool(value) and has_plain_names and all(inner is None for inner in value.values())


def _is_interval(value: list[Any]) -> bool:
    """Whether a YAML list is of the form [low, high] or [low, high, log]."""
    if len(value) not in (2, 3) or (len(value) == 3 and value[2] != "log"):
        return False
    return all(map(_is_bound, value[:2]))


def _is_bound(value: Any) -> bool:
    """Whether a value is a finite number, from which the difference to another one is a finite float."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and abs(value) <= sys.float_info.max / 2


def side_config(base: Config, side: str) -> RecBoleConfig:
    """The Config of the model that is tuned: the teacher's for the side ``teacher``, else the student's."""
    if side != "teacher":
        return base
    assert base.teacher is not None  # a teacher without a Config is a file of scores, which a search refuses
    return base.teacher


def recipe_content(side: str, settings: Settings) -> dict[str, Any]:
    """A trial's settings as a recipe holds them: plain keys, and a block for the keys of one side."""
    if side != "method":
        return {BLOCK[side]: settings}
    plain_keys = kd_keys() | student_only_keys()
    plain = {key: value for key, value in settings.items() if key in plain_keys}
    block = {key: value for key, value in settings.items() if key not in plain_keys}
    return {**plain, "student": block} if block else plain


def override_layers(layers: Layers, content: dict[str, Any]) -> Layers:
    """The user's layers, overridden by the content of a recipe."""
    blocks = {side: {**block, **content.get(side, {})} for side, block in layers.blocks.items()}
    plain = {key: value for key, value in content.items() if key not in blocks}
    return replace(layers, plain={**layers.plain, **plain}, blocks=blocks)


def keys_set_by_user(layers: Layers, side: str) -> set[str]:
    """The keys that the user has set for the side that is tuned; a search leaves them unchanged."""
    if side == "teacher":
        return (set(layers.plain) - student_only_keys()) | set(layers.block("teacher"))
    return set(layers.plain) | set(layers.block("student"))


def check_space(space: Space, side: str, layers: Layers, base: Config) -> Space:
    """Remove the keys that the user has set, and try the values of the others on the Config.

    Args:
        space: the space to check.
        side: ``method``, ``alone`` or ``teacher``.
        layers: the user's Layers.
        base: the Config of these layers.

    Returns:
        The space that is left; the bounds of float keys are floats.

    Raises:
        KDError: a key that is unknown or changes more than the tuned side, a value out of its range, or no key left.
    """
    known = _searchable_keys(side, layers, base)
    for key in space:
        if key not in known:
            tuned = side_label(side, layers.method)
            raise KDError(f"'{key}' in the space cannot be tuned for {tuned}{did_you_mean(key, known)}")
    fixed = keys_set_by_user(layers, side)
    space = {key: _with_key_type(domain, key, base) for key, domain in space.items() if key not in fixed}
    if not space:
        raise KDError("nothing is left to tune: every key of the space is set already, and what you set stays as it is")
    for key, domain in space.items():
        for value in domain.checked_values:
            try:
                build_config(override_layers(layers, recipe_content(side, {key: value})))
            except KDError as error:
                raise KDError(f"the space does not fit: {error}") from error
    return space


def side_label(side: str, method: str) -> str:
    """The name of a side in messages."""
    return {"method": method, "alone": "the student alone", "teacher": "the teacher"}[side]


def _searchable_keys(side: str, layers: Layers, base: Config) -> set[str]:
    config = side_config(base, side)
    # the width is excluded: it decides the size of the model that is deployed, not how well it is trained
    known = model_keys(model_reference(config)) - {"embedding_size", "hidden_size_list"}
    if config["MODEL_TYPE"] != ModelType.TRADITIONAL:  # traditional models are solved, not trained
        known |= LEARNING
    if side == "method":
        shared = method_keys("Distiller")
        keys = method_keys(layers.method, resolve_terms(layers.method, layers.plain.get("terms")))
        known |= {key for key in keys if key not in shared or key.startswith("kd_")}
    return known


def _with_key_type(domain: Interval | Choice, name: str, base: Config) -> Interval | Choice:
    """Give an Interval bounds of the key's type: [0, 1] of a float key includes 0.5."""
    key = method_keys(base.method, base["terms"]).get(name)
    kind = key.type if key else recbole_numbers().get(name)
    if isinstance(domain, Interval) and kind == "float":
        return replace(domain, low=float(domain.low), high=float(domain.high))
    return domain
