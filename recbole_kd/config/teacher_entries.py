"""The entries of the keys teachers, teacher_model and teacher_path."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recbole_kd.config.recbole_schema import recbole_keys, recbole_reads
from recbole_kd.config.schema import ONE_SIDE_KEYS, RUN_LEVEL_KEYS, kd_keys
from recbole_kd.errors import KDError, did_you_mean

SOURCES = ("model", "path", "scores")


@dataclass(frozen=True)
class TeacherEntry:
    """One teacher as the user asks for it.

    Attributes:
        model: a RecBole model to train or to find, or None.
        path: a checkpoint, or None.
        scores: a file of tokens and scores, or None.
        states: checkpoints of earlier moments of the training that ended in ``path``, in their order.
        keys: RecBole's keys of this teacher alone.
    """

    model: str | None = None
    path: str | None = None
    scores: str | None = None
    states: tuple[str, ...] = ()
    keys: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self):
        """What the user calls it."""
        what = self.model or self.path or self.scores
        return " ".join([str(what), *(f"{key}={value}" for key, value in self.keys.items())])


def parse_teacher_entries(teachers, models, paths):
    """The entries that the keys ``teachers``, ``teacher_model`` and ``teacher_path`` come to; none of them: one entry
    without anything, for a teacher of the student's model.

    Raises:
        KDError: an entry that is none, one teacher given twice, keys that say it twice.
    """
    given = [("teachers", teachers), ("teacher_path", paths)]
    given = [(key, value) for key, value in given if value is not None]
    if len(given) == 2 or (teachers is not None and models is not None):
        raise KDError(f"teachers says who teaches: leave {'teacher_path' if len(given) == 2 else 'teacher_model'} out")
    if not given and models is None:
        return (TeacherEntry(),)
    key, value = given[0] if given else ("teacher_model", models)
    many = isinstance(value, (list, tuple))
    if key == "teachers" and not many:
        raise KDError(f"teachers={value!r}: it is a list of entries such as {{model: BPR}} or {{path: a.pth}}")
    values = list(value) if many else [value]
    if not values:
        raise KDError(f"{key} is an empty list: name a teacher, or leave it out")
    kind = {"teacher_model": "model", "teacher_path": "path"}.get(key)
    found = tuple(_entry_from_name(key, kind, one) if kind else _entry_from_mapping(one) for one in values)
    if kind == "path" and isinstance(models, str) and not many:
        found = (TeacherEntry(model=models, path=found[0].path),)
    elif kind == "path" and models is not None:
        raise KDError("the checkpoints of teacher_path name their models: leave teacher_model out")
    for place, entry in enumerate(found):
        if entry in found[:place]:
            raise KDError(f"{key} gives one teacher twice: {entry.name}")
    return found


def entries_to_keys(entries):
    """The keys that come to these entries again, of ``teacher_model``, ``teacher_path`` and ``teachers``."""
    if len(entries) == 1 and not entries[0].scores and not entries[0].keys and not entries[0].states:
        keys = {"teacher_model": entries[0].model, "teacher_path": entries[0].path}
        return {key: value for key, value in keys.items() if value is not None}
    if all(entry == TeacherEntry(model=entry.model) for entry in entries):
        return {"teacher_model": [entry.model for entry in entries]}
    if all(entry == TeacherEntry(path=entry.path) for entry in entries):
        return {"teacher_path": [entry.path for entry in entries]}
    sources = ({**vars(entry), "states": list(entry.states), "keys": None} for entry in entries)
    asked = ({key: value for key, value in own.items() if value} for own in sources)
    # a key of its own may well be 0 or False
    return {"teachers": [{**own, **entry.keys} for own, entry in zip(asked, entries, strict=True)]}


def parse_path_or_list(value):
    """``teacher_path`` as the command line has it: a path as it stands, or a list of them in brackets."""
    if value.startswith("["):
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError) as error:
            raise KDError(f"teacher_path={value} is no list: write \"['one.pth', 'other.pth']\"") from error
    return None if value == "None" else value


def _entry_from_name(key, kind, value):
    if not isinstance(value, str):
        raise KDError(f"{key}={value!r} is out of range: it takes a {'path' if kind == 'path' else 'name'}, or a list")
    return TeacherEntry(path=value) if kind == "path" else TeacherEntry(model=value)


def _entry_from_mapping(value):
    if isinstance(value, str):
        value = {"model": value}
    if not isinstance(value, Mapping):
        raise KDError(f"{value!r} in teachers is no entry: write {{model: BPR}}, {{path: a.pth}} or {{scores: a.tsv}}")
    sources: dict[str, Any] = {key: value[key] for key in SOURCES if key in value}
    if len(sources) != 1 or not isinstance(next(iter(sources.values())), str):
        raise KDError(f"{dict(value)!r} in teachers needs one of model, path and scores, with a name behind it")
    states = value.get("states", [])
    if not isinstance(states, (list, tuple)) or not all(isinstance(state, str) for state in states):
        raise KDError(f"states={states!r} in teachers is out of range: it takes a list of checkpoints")
    if states and "path" not in value:
        raise KDError("states in teachers stands beside path: a model that is trained here keeps its own")
    keys = {key: inner for key, inner in value.items() if key not in (*SOURCES, "states")}
    if keys and "scores" in value:
        raise KDError(f"a file of scores has no keys of its own: leave {', '.join(map(str, keys))} out in teachers")
    for key in keys:
        if key in ONE_SIDE_KEYS:
            continue
        if key in RUN_LEVEL_KEYS or key in kd_keys() or not isinstance(key, str):
            raise KDError(f"{key!r} in teachers is no key of one teacher: write it outside the list, or leave it out")
        if not (key in recbole_keys() or recbole_reads(key)):
            raise KDError(f"nobody knows the key '{key}' of a teacher{did_you_mean(str(key), recbole_keys())}")
    return TeacherEntry(**sources, states=tuple(states), keys=keys)
