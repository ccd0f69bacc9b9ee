"""The entries of the keys teachers, teacher_model and teacher_path."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recbole_kd.config.literals import parse_literal
from recbole_kd.config.model_names import is_model_path
from recbole_kd.config.recbole_schema import model_keys, recbole_keys, recbole_reads
from recbole_kd.config.schema import ONE_SIDE_KEYS, RUN_LEVEL_KEYS, kd_keys
from recbole_kd.errors import KDError, did_you_mean

FILES = ("scores", "factors")
SOURCES = ("model", "path", *FILES)


@dataclass(frozen=True)
class TeacherEntry:
    """One teacher as the user names it.

    Attributes:
        model: a model to train or to find, or None.
        path: a checkpoint, or None.
        scores: a file of tokens and scores, or None.
        factors: a file of tokens and vectors, or None; beside ``scores`` or alone.
        states: checkpoints of earlier moments of the training that ended in ``path``, in their order.
        keys: RecBole's keys of this teacher alone.
    """

    model: str | None = None
    path: str | None = None
    scores: str | None = None
    factors: str | None = None
    states: tuple[str, ...] = ()
    keys: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the user calls it: its model or file, and its keys."""
        source = self.model or self.path or " ".join(self.files)
        return " ".join([str(source), *(f"{key}={value}" for key, value in self.keys.items())])

    @property
    def files(self) -> tuple[str, ...]:
        """The files of scores and of vectors; empty for a model and for a checkpoint."""
        return tuple(file for file in (self.scores, self.factors) if file is not None)


def parse_teacher_entries(teachers: Any, models: Any, paths: Any) -> tuple[TeacherEntry, ...]:
    """The entries for the values of ``teachers``, ``teacher_model`` and ``teacher_path``.

    Where all are None there is one empty entry: a teacher of the student's model.

    Raises:
        KDError: an entry that cannot be read, the same teacher twice, keys that contradict each other.
    """
    given = [(key, value) for key, value in (("teachers", teachers), ("teacher_path", paths)) if value is not None]
    if len(given) == 2 or (teachers is not None and models is not None):
        raise KDError(
            f"teachers names all teachers: leave {'teacher_path' if len(given) == 2 else 'teacher_model'} out"
        )
    if not given and models is None:
        return (TeacherEntry(),)
    key, value = given[0] if given else ("teacher_model", models)
    entries = _entries_of(key, value)
    if key == "teacher_path" and models is not None:
        if not isinstance(models, str) or isinstance(value, (list, tuple)):
            raise KDError("the checkpoints of teacher_path name their models: leave teacher_model out")
        entries = (TeacherEntry(model=models, path=entries[0].path),)
    for index, entry in enumerate(entries):
        if entry in entries[:index]:
            raise KDError(f"{key} gives one teacher twice: {entry.name}")
    return entries


def _entries_of(key: str, value: Any) -> tuple[TeacherEntry, ...]:
    is_list = isinstance(value, (list, tuple))
    if key == "teachers" and not is_list:
        raise KDError(f"teachers={value!r}: it is a list of entries such as {{model: BPR}} or {{path: a.pth}}")
    values = list(value) if is_list else [value]
    if not values:
        raise KDError(f"{key} is an empty list: name a teacher, or leave it out")
    if key == "teachers":
        return tuple(_entry_from_mapping(element) for element in values)
    return tuple(_entry_from_name(key, element) for element in values)


def entries_to_keys(entries: Sequence[TeacherEntry]) -> dict[str, Any]:
    """The values of ``teacher_model``, ``teacher_path`` and ``teachers`` that give these entries again."""
    if len(entries) == 1 and not entries[0].files and not entries[0].keys and not entries[0].states:
        keys = {"teacher_model": entries[0].model, "teacher_path": entries[0].path}
        return {key: value for key, value in keys.items() if value is not None}
    if all(entry == TeacherEntry(model=entry.model) for entry in entries):
        return {"teacher_model": [entry.model for entry in entries]}
    if all(entry == TeacherEntry(path=entry.path) for entry in entries):
        return {"teacher_path": [entry.path for entry in entries]}
    return {"teachers": [_entry_to_mapping(entry) for entry in entries]}


def _entry_to_mapping(entry: TeacherEntry) -> dict[str, Any]:
    sources: dict[str, Any] = {source: getattr(entry, source) for source in SOURCES}
    sources["states"] = list(entry.states)
    # an empty source was not given; a key of the teacher may well be 0 or False
    return {**{key: value for key, value in sources.items() if value}, **entry.keys}


def parse_path_or_list(value: str) -> Any:
    """``teacher_path`` on the command line: a path, never evaluated, or a list of paths in brackets."""
    if value.startswith("["):
        try:
            return parse_literal(value)
        except ValueError as error:
            raise KDError(f"teacher_path={value} is not a list: write \"['one.pth', 'other.pth']\"") from error
    return None if value == "None" else value


def _entry_from_name(key: str, value: Any) -> TeacherEntry:
    is_path = key == "teacher_path"
    if not isinstance(value, str):
        raise KDError(f"{key}={value!r} is out of range: it takes a {'path' if is_path else 'name'}, or a list")
    return TeacherEntry(path=value) if is_path else TeacherEntry(model=value)


def _entry_from_mapping(value: Any) -> TeacherEntry:
    if isinstance(value, str):
        value = {"model": value}
    if not isinstance(value, Mapping):
        raise KDError(
            f"{value!r} in teachers is not an entry: write {{model: BPR}}, {{path: a.pth}}, {{scores: a.tsv}} "
            "or {factors: a.npz}"
        )
    sources: dict[str, Any] = {key: value[key] for key in SOURCES if key in value}
    is_file = bool(sources) and set(sources) <= set(FILES)
    if (len(sources) != 1 and not is_file) or not all(isinstance(source, str) for source in sources.values()):
        raise KDError(
            f"{dict(value)!r} in teachers needs one of model, path, scores and factors (the last two may stand "
            "together), with a name as its value"
        )
    states = value.get("states", [])
    if not isinstance(states, (list, tuple)) or not all(isinstance(state, str) for state in states):
        raise KDError(f"states={states!r} in teachers is out of range: it takes a list of checkpoints")
    if states and "path" not in value:
        raise KDError("states in teachers needs path: a model that is trained here has its own states")
    keys = {key: setting for key, setting in value.items() if key not in (*SOURCES, "states")}
    if keys and is_file:
        left_out = ", ".join(map(str, keys))
        raise KDError(f"a file of {' and '.join(sources)} takes no keys: leave {left_out} out in teachers")
    for key in keys:
        _check_entry_key(key, sources.get("model"))
    return TeacherEntry(**sources, states=tuple(states), keys=keys)


def _check_entry_key(key: Any, model: str | None) -> None:
    model_specific = model_keys(model) if model is not None and is_model_path(model) else set()
    if key in ONE_SIDE_KEYS or key in model_specific:
        return
    if key in RUN_LEVEL_KEYS or key in kd_keys() or not isinstance(key, str):
        raise KDError(f"{key!r} in teachers is no key of one teacher: write it outside the list, or leave it out")
    if not (key in recbole_keys() or recbole_reads(key)):
        raise KDError(f"unknown key '{key}' of a teacher{did_you_mean(key, recbole_keys() | model_specific)}")
