"""What a comparison consists of, read from a YAML file and checked name by name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recbole_kd.config.layering import SIDES
from recbole_kd.config.recbole_schema import recbole_keys, recbole_reads
from recbole_kd.config.schema import kd_keys, method_names
from recbole_kd.config.yaml_loader import read_yaml
from recbole_kd.errors import KDError, did_you_mean

KEYS = ("datasets", "seeds", "methods", "keys", "alone", "folder", "processes", "metric")
# keys of a run that the plan sets by itself, and what to write instead
TAKEN = {
    "model": "write it under 'methods'", "dataset": "write it under 'datasets'", "seed": "write it under 'seeds'",
    "checkpoint_dir": "write 'folder' in the plan", "config_files": "write its keys out",
    "result_file": "every run has a file in 'folder'", "resume": "a comparison always goes on",
    "nproc": "write 'processes' in the plan", "world_size": "write 'processes' in the plan",
    "baseline": "the student is always trained alone", "show_progress": "the comparison has a line of its own",
}  # fmt: skip
TEACHER, ALONE = "teacher", "student alone"
NEIGHBOURS = "with its neighbours"  # the teacher's own ranking, where neighbour_weight asks for it
ENDS = (TEACHER, ALONE, NEIGHBOURS)
FILES = ("speed", "milliseconds")  # what is beside the runs, and what it is called where it fails
_NAME = re.compile(r"\w[\w .,+=@()-]*")  # it becomes a file's name


@dataclass(frozen=True)
class PlanEntry:
    """A dataset or a method of a plan: the name that the report shows, what it is, and its own keys."""

    name: str
    what: str
    keys: dict = field(default_factory=dict)


@dataclass(frozen=True)
class ComparisonPlan:
    """A comparison: every method on every dataset with every seed.

    Attributes:
        keys: reach every run.
        alone: reach the student alone only.
        folder: where everything goes.
        processes: runs at a time.
        metric: the one that the report's charts show; None: ndcg@10 where there is one, else the validation metric.
    """

    datasets: tuple
    seeds: tuple
    methods: tuple
    keys: dict
    alone: dict
    folder: Path
    processes: int = 1
    metric: str | None = None


def read_plan(file):
    """A Plan from a YAML file. Raises KDError: not there, not YAML, or something in it that nobody knows."""
    return make_plan(read_yaml(file, "plan"), f"the plan '{file}'", Path("compare") / Path(file).stem)


def make_plan(content, origin="the plan", folder="compare/plan"):
    """A Plan from a dict of its keys; ``folder`` where it names none. Raises KDError."""
    for key in content:
        if key not in KEYS:
            raise KDError(f"nobody knows the key '{key}' in {origin}{did_you_mean(str(key), KEYS)}")
    for key in ("datasets", "seeds", "methods"):
        if not isinstance(content.get(key), (list, tuple)) or not content[key]:
            raise KDError(f"'{key}' in {origin} is {content.get(key)!r}: write a list with at least one entry")
    folder = content.get("folder") or folder
    if not isinstance(folder, (str, Path)):
        raise KDError(f"'folder' in {origin} is {folder!r}: write a path")
    processes, metric = content.get("processes", 1), content.get("metric")
    if not isinstance(processes, int) or isinstance(processes, bool) or processes < 1:
        raise KDError(f"'processes' in {origin} is {processes!r}: write a whole number from 1")
    if metric is not None and not isinstance(metric, str):
        raise KDError(f"'metric' in {origin} is {metric!r}: write one such as ndcg@10")
    methods = _entries("methods", "model", content["methods"], origin)
    for method in methods:
        if method.what not in method_names():
            raise KDError(
                f"nobody knows the method '{method.what}' in {origin}{did_you_mean(method.what, method_names())}"
            )
    return ComparisonPlan(
        _entries("datasets", "dataset", content["datasets"], origin),
        _seeds(content["seeds"], origin),
        methods,
        _keys("keys", content.get("keys"), origin),
        _alone(content.get("alone"), origin),
        Path(folder),
        processes,
        metric.lower() if metric else None,
    )


def _alone(raw, origin):
    """The student alone's keys, which may stand in a block of the student's."""
    given = _keys("alone", raw, origin)
    for key in given:
        if key.startswith("teacher."):
            raise KDError(f"'{key}' may not stand under 'alone' in {origin}: the student alone has no teacher")
        if key.startswith("student.") and key.removeprefix("student.") in given:
            raise KDError(
                f"'{key}' and '{key.removeprefix('student.')}' under 'alone' in {origin} are one: leave one out"
            )
    return _keys("alone", {key.removeprefix("student."): value for key, value in given.items()}, origin)


def _seeds(seeds, origin):
    for number, seed in enumerate(seeds):
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
            raise KDError(f"'seeds' in {origin} holds {seed!r}: a seed is a whole number in [0, 2**32 - 1]")
        if seed in seeds[:number]:
            raise KDError(f"'seeds' in {origin} holds {seed} twice: each seed is one split, and counts once")
    return tuple(seeds)


def _entries(where, what, raw, origin):
    """The entries of ``datasets`` or ``methods``: names, or mappings that hold ``what`` and keys of its own."""
    found: list[PlanEntry] = []
    for one in raw:
        keys = dict(one) if isinstance(one, Mapping) else {what: one}
        if not isinstance(keys.get(what), str) or not keys[what]:
            raise KDError(f"an entry of '{where}' in {origin} is {one!r}: write a name, or {{{what}: …, key: value}}")
        kind = keys.pop(what)
        name = keys.pop("name", kind)
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name.casefold() in (*ENDS, *FILES):
            raise KDError(
                f"the name {name!r} under '{where}' in {origin} will not do: letters, digits, spaces and _.,+=@()- "
                f"may stand in it, and {', '.join(map(repr, (*ENDS, *FILES)))} are taken"
            )
        if name.casefold() in (other.name.casefold() for other in found):
            raise KDError(f"'{where}' in {origin} holds two entries of the name '{name}': give one another 'name'")
        found.append(PlanEntry(name, kind, _keys(f"{where}: {name}", keys, origin)))
    return tuple(found)


def _keys(where, raw, origin):
    """Keys of a run, blocks written out as ``teacher.key`` and ``student.key``."""
    if not isinstance(raw or {}, Mapping):
        raise KDError(f"'{where}' in {origin} is {raw!r}: write 'key: value' lines")
    keys = flat(raw or {})
    known = recbole_keys() | kd_keys()
    for key in keys:
        if key in TAKEN:
            raise KDError(f"'{key}' may not stand under '{where}' in {origin}: {TAKEN[key]}")
        side, dot, name = key.partition(".")
        plain = name if dot and side in SIDES else key
        if plain not in known and not recbole_reads(plain):
            raise KDError(f"nobody knows the key '{key}' under '{where}' in {origin}{did_you_mean(plain, known)}")
    return keys


def flat(keys):
    """The same keys, the blocks ``teacher`` and ``student`` written out with a dot."""
    found: dict[str, Any] = {}
    for key, value in keys.items():
        if key in SIDES and isinstance(value, Mapping):
            found |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            found[str(key)] = value
    return found


def merged(*layers):
    """Layers of flat keys in one, the later ones winning: a later ``x`` replaces ``student.x`` as well."""
    found: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            found.pop(f"student.{key}", None)
            found[key] = value
    return found
