"""A search space: a YAML file that says which keys are tried, with which values, in the notation of the keys' ranges.

rrd_weight: [0.1, 10, log]      # an interval, drawn evenly on a logarithmic scale
rrd_temperature: [5, 20]        # an interval, drawn evenly; of whole numbers where the key takes an int
rrd_k: {20, 50, 100}            # one of these
"""

import math
from dataclasses import dataclass, replace

from recbole.utils import ModelType

from recbole_kd.config.recbole_schema import model_keys, recbole_numbers
from recbole_kd.config.schema import PROPERTIES, kd_keys, method_keys, resolve_terms, student_only_keys
from recbole_kd.config.yaml_loader import read_yaml
from recbole_kd.errors import KDError, did_you_mean
from recbole_kd.method.configuration import build_config

SIDES = ("method", "alone", "teacher")
BLOCK = {"alone": "student", "teacher": "teacher"}
DIGITS = 3  # of a drawn number, so that a recipe can be read
LEARNING = {"learner", "learning_rate", "weight_decay", "train_batch_size"}
FORMS = "write [0.1, 10, log], [5, 20] or {20, 50, 100}"


@dataclass(frozen=True)
class Interval:
    """Numbers between two ends, both included; whole ones where both ends are ints."""

    low: float
    high: float
    log: bool = False

    @property
    def whole(self):
        """Whether these are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self):
        """The values that stand for all when the space is checked."""
        return (self.low, self.high)

    def __str__(self):
        return f"[{self.low}, {self.high}{', log' if self.log else ''}]"

    def at(self, share):
        """The value at a share in [0, 1) of the way."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = low + share * (high - low)
        return self.tidy(math.exp(value) if self.log else value)

    def tidy(self, value):
        """A number of the interval, short enough to be read."""
        value = round(value) if self.whole else float(f"{value:.{DIGITS}g}")
        return min(max(value, self.low), self.high)


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple

    @property
    def ends(self):
        """The values that stand for all when the space is checked: each of them."""
        return self.values

    def __str__(self):
        return f"{{{', '.join(map(str, self.values))}}}"

    def at(self, share):
        """The value at a share in [0, 1) of the way."""
        return self.values[int(share * len(self.values))]


def read_space(file):
    """The space in a YAML file: name to Interval or Choice. Raises KDError."""
    content = read_yaml(file, "space")
    if not content:
        raise KDError(f"the space '{file}' names no key: write a line such as rrd_weight: [0.1, 10, log]")
    return {str(key): _part(str(key), value, file) for key, value in content.items()}


def space_of(side, method, terms=None):
    """The space that comes with a method (or a mix's terms), with ``alone``, with ``teacher``. Raises KDError."""
    found: dict[str, Interval | Choice] = {}
    for name in [side] if side != "method" else [method] if _file(method).is_file() else resolve_terms(method, terms):
        if not _file(name).is_file():
            raise KDError(f"no space comes with {name}: write one and give it as --space=")
        found |= read_space(_file(name))
    return found


def _file(name):
    return PROPERTIES / "space" / f"{name}.yaml"


def _part(key, value, file):
    wrong = KDError(f"{key}={value!r} in the space '{file}' is no range of values: {FORMS}")
    if isinstance(value, dict):  # {a, b} in YAML: keys without values
        plain = all(isinstance(name, (bool, int, float, str)) for name in value)
        if not value or not plain or any(inner is not None for inner in value.values()):
            raise wrong
        return Choice(tuple(value))
    if not isinstance(value, list) or len(value) not in (2, 3) or (len(value) == 3 and value[2] != "log"):
        raise wrong
    low, high = value[:2]
    if any(isinstance(end, bool) or not isinstance(end, (int, float)) or not math.isfinite(end) for end in (low, high)):
        raise wrong
    if low >= high or (len(value) == 3 and low <= 0):
        raise KDError(
            f"{key}={value!r} in the space '{file}' holds nothing: the first end has to be the smaller one"
            + (", and above 0 for log" if len(value) == 3 else "")
        )
    return Interval(low, high, len(value) == 3)


def _as_key(part, name, base):
    """An Interval with ends of the key's own type: [0, 1] of a float key holds 0.5 too."""
    shared = recbole_numbers()
    key = method_keys(base.method, base["terms"]).get(name)
    kind = key.type if key else shared.get(name)
    floating = isinstance(part, Interval) and kind == "float"
    return replace(part, low=float(part.low), high=float(part.high)) if floating else part


def content_of(side, settings):
    """The settings of a trial as a recipe has them: plain keys, and a block for what is meant for one side alone."""
    if side != "method":
        return {BLOCK[side]: settings}
    plain = kd_keys() | student_only_keys()
    block = {key: value for key, value in settings.items() if key not in plain}
    return {**{key: settings[key] for key in settings if key in plain}, **({"student": block} if block else {})}


def laid_over(layers, content):
    """The user's layers with the content of a recipe on top."""
    blocks = {side: {**own, **content.get(side, {})} for side, own in layers.blocks.items()}
    plain = {key: value for key, value in content.items() if key not in blocks}
    return replace(layers, plain={**layers.plain, **plain}, blocks=blocks)


def set_by_user(layers, side):
    """The keys that the user has set for the side that is tuned: they stay as they are."""
    if side == "teacher":
        return (set(layers.plain) - student_only_keys()) | set(layers.block("teacher"))
    return set(layers.plain) | set(layers.block("student"))


def check_space(space, side, layers, base):
    """A space without the keys that the user has set, everything in it tried on the Config.

    Args:
        space: name to Interval or Choice.
        side: ``method``, ``alone`` or ``teacher``.
        layers: the user's Layers.
        base: the Config that they make.

    Raises:
        KDError: a key that is unknown or would change more than the side, a value out of its range; nothing left.
    """
    known = _searchable(side, layers, base)
    for key in space:
        if key not in known:
            raise KDError(f"'{key}' in the space cannot be tuned for {_whom(side, layers)}{did_you_mean(key, known)}")
    fixed = set_by_user(layers, side)
    space = {key: _as_key(part, key, base) for key, part in space.items() if key not in fixed}
    if not space:
        raise KDError("nothing is left to tune: every key of the space is set already, and what you set stays as it is")
    for key, part in space.items():
        for value in part.ends:
            try:
                build_config(laid_over(layers, content_of(side, {key: value})))
            except KDError as error:
                raise KDError(f"the space does not fit: {error}") from error
    return space


def _searchable(side, layers, base):
    own = base.teacher if side == "teacher" else base
    # the width is left out: it says what ships, not how well it is trained
    known = model_keys(own["model"]) - {"embedding_size", "hidden_size_list"}
    if own["MODEL_TYPE"] != ModelType.TRADITIONAL:  # such a one is solved, not trained
        known |= LEARNING
    if side == "method":
        shared = method_keys("Distiller")
        asked = method_keys(layers.method, resolve_terms(layers.method, layers.plain.get("terms")))
        known |= {key for key in asked if key not in shared or key.startswith("kd_")}
    return known


def _whom(side, layers):
    return {"method": layers.method, "alone": "the student alone", "teacher": "the teacher"}[side]
