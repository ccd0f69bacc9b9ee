"""The plan of a comparison: read from a YAML file, with every key and value checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recbole_kd.config.configurator import Config
from recbole_kd.config.layering import SIDES, read_layers
from recbole_kd.config.plain_values import to_plain_value
from recbole_kd.config.recbole_schema import recbole_keys, recbole_reads
from recbole_kd.config.schema import kd_keys, method_names
from recbole_kd.config.yaml_loader import read_yaml
from recbole_kd.errors import KDError, did_you_mean
from recbole_kd.method.configuration import build_config

KEYS = ("datasets", "seeds", "methods", "keys", "alone", "folder", "processes", "metric", "part")
# keys of a run that the comparison sets, each with what to do instead
RESERVED_KEYS = {
    "model": "write it under 'methods'",
    "dataset": "write it under 'datasets'",
    "seed": "write it under 'seeds'",
    "checkpoint_dir": "write 'folder' in the plan",
    "config_files": "write its keys out",
    "result_file": "every run has a file in 'folder'",
    "resume": "a comparison always resumes",
    "nproc": "write 'processes' in the plan",
    "world_size": "write 'processes' in the plan",
    "baseline": "the student is always trained alone",
    "show_progress": "the comparison shows its progress itself",
}
TEST, VALIDATION = "test", "validation"
PARTS = (TEST, VALIDATION)  # the part of the split that the models are compared on
TEACHER, ALONE = "teacher", "student alone"
NEIGHBOURS = "with its neighbours"  # the teacher's ranking as it is distilled under neighbour_weight
REFERENCES = (TEACHER, ALONE, NEIGHBOURS)  # the rows that the methods are compared with
RESERVED_NAMES = ("speed", "milliseconds")  # the file of the latencies, and its name where it fails
_NAME = re.compile(r"\w[\w .,+=@()-]*")  # a name is part of a file name


@dataclass(frozen=True)
class PlanEntry:
    """A dataset or a method of a plan.

    Attributes:
        name: its name in the report and in file names; by default the same as ``what``.
        what: the dataset's or the method's name, as ``dataset`` or ``model`` of a run.
        keys: the keys that apply to this entry only, as flat keys.
    """

    name: str
    what: str
    keys: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ComparisonPlan:
    """A comparison: every method on every dataset with every seed.

    Attributes:
        datasets: the datasets.
        seeds: the seeds; each has its own split.
        methods: the methods.
        keys: keys of every run.
        alone: keys of the student alone only.
        folder: where all files of the comparison are written.
        processes: number of runs at a time.
        metric: the metric that the report shows first; None: ndcg@10 where it is evaluated, otherwise the validation
            metric.
        part: the part of the split that all models are evaluated on: ``test``, or ``validation`` to choose settings,
            which never evaluates the test part.
    """

    datasets: tuple[PlanEntry, ...]
    seeds: tuple[int, ...]
    methods: tuple[PlanEntry, ...]
    keys: dict[str, Any]
    alone: dict[str, Any]
    folder: Path
    processes: int = 1
    metric: str | None = None
    part: str = TEST


def read_plan(file: Path | str) -> ComparisonPlan:
    """Read a plan from a YAML file.

    Raises:
        KDError: the file is missing, is not YAML, or has an unknown key or a wrong value.
    """
    return make_plan(read_yaml(file, "plan"), f"the plan '{file}'", Path("compare") / Path(file).stem)


def make_plan(
    content: Mapping[str, Any], origin: str = "the plan", folder: Path | str = "compare/plan"
) -> ComparisonPlan:
    """Make a plan from the keys of a plan file.

    Args:
        content: the keys.
        origin: how messages name the plan.
        folder: the folder of a plan that has none.

    Raises:
        KDError: an unknown key or a wrong value.
    """
    content = to_plain_value(origin, content)
    for key in content:
        if key not in KEYS:
            raise KDError(f"unknown key '{key}' in {origin}{did_you_mean(str(key), KEYS)}")
    for key in ("datasets", "seeds", "methods"):
        if not isinstance(content.get(key), (list, tuple)) or not content[key]:
            raise KDError(f"'{key}' in {origin} is {content.get(key)!r}: write a list with at least one entry")
    processes, metric = _scalars(content, origin)
    return ComparisonPlan(
        datasets=_entries("datasets", "dataset", content["datasets"], origin),
        seeds=_seeds(content["seeds"], origin),
        methods=_methods(content["methods"], origin),
        keys=_keys("keys", content.get("keys"), origin),
        alone=_alone(content.get("alone"), origin),
        folder=_folder(content.get("folder") or folder, origin),
        processes=processes,
        metric=metric,
        part=_part(content.get("part", TEST), origin),
    )


def _folder(folder: Any, origin: str) -> Path:
    if not isinstance(folder, (str, Path)):
        raise KDError(f"'folder' in {origin} is {folder!r}: write a path")
    return Path(folder)


def _scalars(content: Mapping[str, Any], origin: str) -> tuple[int, str | None]:
    processes, metric = content.get("processes", 1), content.get("metric")
    if not isinstance(processes, int) or isinstance(processes, bool) or processes < 1:
        raise KDError(f"'processes' in {origin} is {processes!r}: write a whole number from 1")
    if metric is not None and not isinstance(metric, str):
        raise KDError(f"'metric' in {origin} is {metric!r}: write one such as ndcg@10")
    return processes, metric.lower() if metric else None


def _part(part: Any, origin: str) -> str:
    if part not in PARTS:
        raise KDError(f"'part' in {origin} is {part!r}: write one of {', '.join(PARTS)}")
    return part


def _methods(raw: Sequence[Any], origin: str) -> tuple[PlanEntry, ...]:
    methods = _entries("methods", "model", raw, origin)
    for method in methods:
        if method.what not in method_names():
            suggestion = did_you_mean(method.what, method_names())
            raise KDError(f"unknown method '{method.what}' in {origin}{suggestion}")
    return methods


def _alone(raw: Any, origin: str) -> dict[str, Any]:
    """The keys of the student alone. They may be in a block ``student``."""
    given = _keys("alone", raw, origin)
    for key in given:
        if key.startswith("teacher."):
            raise KDError(f"'{key}' is not allowed under 'alone' in {origin}: the student alone has no teacher")
        if key.startswith("student.") and key.removeprefix("student.") in given:
            raise KDError(
                f"'{key}' and '{key.removeprefix('student.')}' under 'alone' in {origin} are the same key: "
                "leave one out"
            )
    return _keys("alone", {key.removeprefix("student."): value for key, value in given.items()}, origin)


def _seeds(seeds: Sequence[Any], origin: str) -> tuple[int, ...]:
    for index, seed in enumerate(seeds):
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
            raise KDError(f"'seeds' in {origin} holds {seed!r}: a seed is a whole number in [0, 2**32 - 1]")
        if seed in seeds[:index]:
            raise KDError(f"'seeds' in {origin} holds {seed} twice: write each seed once")
    return tuple(seeds)


def _entries(section: str, target_key: str, raw: Sequence[Any], origin: str) -> tuple[PlanEntry, ...]:
    """The entries of ``datasets`` or ``methods``: names, or mappings of ``target_key`` and further keys."""
    entries: list[PlanEntry] = []
    for item in raw:
        keys = dict(item) if isinstance(item, Mapping) else {target_key: item}
        if not isinstance(keys.get(target_key), str) or not keys[target_key]:
            raise KDError(
                f"an entry of '{section}' in {origin} is {item!r}: write a name, or {{{target_key}: …, key: value}}"
            )
        target = keys.pop(target_key)
        name = keys.pop("name", target)
        _check_name(name, section, origin)
        if name.casefold() in (other.name.casefold() for other in entries):
            raise KDError(f"'{section}' in {origin} holds two entries named '{name}': give one another 'name'")
        entries.append(PlanEntry(name, target, _keys(f"{section}: {name}", keys, origin)))
    return tuple(entries)


def _check_name(name: Any, section: str, origin: str) -> None:
    reserved = (*REFERENCES, *RESERVED_NAMES)
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.casefold() in reserved:
        raise KDError(
            f"the name {name!r} under '{section}' in {origin} is not allowed: use letters, digits, spaces and "
            f"_.,+=@()-, and none of {', '.join(map(repr, reserved))}"
        )


def _keys(section: str, raw: Any, origin: str) -> dict[str, Any]:
    """The keys of a section, checked, with blocks written as ``teacher.key`` and ``student.key``."""
    if not isinstance(raw or {}, Mapping):
        raise KDError(f"'{section}' in {origin} is {raw!r}: write 'key: value' lines")
    keys = flat(raw or {})
    known = recbole_keys() | kd_keys()
    for key in keys:
        if key in RESERVED_KEYS:
            raise KDError(f"'{key}' is not allowed under '{section}' in {origin}: {RESERVED_KEYS[key]}")
        side, dot, name = key.partition(".")
        plain = name if dot and side in SIDES else key
        if plain not in known and not recbole_reads(plain):
            raise KDError(f"unknown key '{key}' under '{section}' in {origin}{did_you_mean(plain, known)}")
    return keys


def make_run_config(keys: Mapping[str, Any]) -> Config:
    """The Config of a run with the keys of a plan, whose values have their types already. Raises KDError."""
    return build_config(read_layers(config_dict=keys, typed=True))


def flat(keys: Mapping[str, Any]) -> dict[str, Any]:
    """The keys with the blocks ``teacher`` and ``student`` written with a dot.

    >>> flat({"teacher": {"epochs": 3}, "topk": [10]})
    {'teacher.epochs': 3, 'topk': [10]}
    """
    result: dict[str, Any] = {}
    for key, value in keys.items():
        if key in SIDES and isinstance(value, Mapping):
            result |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            result[str(key)] = value
    return result


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge layers of flat keys. Later layers win; a later ``x`` also replaces an earlier ``student.x``.

    >>> merged({"student.epochs": 3, "topk": [10]}, {"epochs": 5})
    {'topk': [10], 'epochs': 5}
    """
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            result.pop(f"student.{key}", None)
            result[key] = value
    return result
