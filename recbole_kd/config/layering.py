"""The layers of a configuration: files < config_dict < command line, each split into plain keys and teacher / student blocks."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from recbole_kd.config.parsing import parse_argv, parse_value, to_plain_value
from recbole_kd.config.recbole_schema import recbole_keys, recbole_reads
from recbole_kd.config.schema import ONE_SIDE_KEYS, RUN_LEVEL_KEYS, is_recbole_model, kd_keys, method_keys, method_names
from recbole_kd.config.teacher_entries import TeacherEntry, parse_teacher_entries
from recbole_kd.config.yaml_loader import read_yaml
from recbole_kd.errors import KDError, did_you_mean

SIDES = ("teacher", "student")


@dataclass(frozen=True)
class Layers:
    """What the user asked for, merged: names, plain keys, and the blocks of one side.

    Attributes:
        said: the keys that stand on the command line, those of a block as ``teacher.key``.
        notes: keys in files and dicts that nobody knows, or that give way, each with a sentence that says so.
    """

    method: str
    dataset: str
    student_model: str
    teachers: tuple[TeacherEntry, ...]
    plain: dict
    blocks: dict = field(default_factory=lambda: {side: {} for side in SIDES})
    cli_keys: frozenset = frozenset()
    notes: dict = field(default_factory=dict)

    def block(self, side):
        """The keys that the block of one side sets."""
        return self.blocks[side]


def read_layers(model=None, dataset=None, config_file_list=None, config_dict=None, argv=None):
    """Merge the user's layers and check every name in them.

    Args:
        model: name of a method; the layers' ``model`` where None, which the command line overrides in any case.
        dataset: name of a dataset; likewise.
        config_file_list: YAML files, later ones winning, or a single one; blocks merge key by key.
        config_dict: the same as a dict; strings are typed as RecBole types them.
        argv: the command line without the program, or None to leave it alone.

    Raises:
        KDError: an unknown method, model or key, a file that cannot be read, a value that does not fit.
    """
    command_line = parse_argv(argv or [])
    given = [config_file_list] if isinstance(config_file_list, (str, os.PathLike)) else config_file_list or []
    files = [*given, *str(command_line.pop("config_files", "")).split()]
    sources = [(file, read_yaml(file), False) for file in files]
    sources.append(("config_dict", config_dict or {}, True))
    named = {key: value for key, value in (("model", model), ("dataset", dataset)) if value is not None}
    sources.append(("arguments", named, False))
    sources.append(("the command line", command_line, True))

    plain: dict[str, Any] = {}
    blocks: dict[str, dict] = {side: {} for side in SIDES}
    notes: dict[str, str] = {}
    models: list[tuple] = []
    for origin, layer, as_text in sources:
        own, own_blocks = split_blocks(layer, origin, as_text)
        notes |= _check_key_names(own, own_blocks, origin)
        models += [(origin, own["model"])] if "model" in own else []
        plain.update(own)
        for side in SIDES:
            blocks[side].update(own_blocks[side])
    # the command line is the last of the sources
    said = frozenset({*own, *(f"{side}.{key}" for side in SIDES for key in own_blocks[side])})
    layers = _resolve(plain, blocks)
    return replace(layers, cli_keys=said, notes=notes | _overridden_models(models, layers.student_model))


def check_cli_keys(words):
    """Refuse keys of a command line that nobody knows, as ``parse_argv`` gives them. Raises KDError."""
    plain, blocks = split_blocks(words, "the command line", True)
    _check_key_names(plain, blocks, "the command line")


def split_blocks(layer, origin, as_text):
    """One layer as its plain keys and its blocks; ``teacher.x`` and ``teacher: {x: …}`` are the same thing."""
    plain: dict[str, Any] = {}
    blocks: dict[str, dict] = {side: {} for side in SIDES}
    for key, value in layer.items():
        side, dot, name = str(key).partition(".")
        if side in SIDES and dot:
            blocks[side][name] = value
        elif key in SIDES:
            if as_text and isinstance(value, str):
                value = parse_value(key, value)
            if not isinstance(value or {}, Mapping):
                raise KDError(f"'{key}' in {origin} is a block of keys, not {value!r}")
            blocks[key].update(value or {})
        else:
            plain[str(key)] = value
    read = parse_value if as_text else to_plain_value
    plain = {key: read(key, value) for key, value in plain.items()}
    blocks = {side: {key: read(key, value) for key, value in own.items()} for side, own in blocks.items()}
    return plain, blocks


def _check_key_names(plain, blocks, origin):
    """Refuse keys that nobody knows; returns those that RecBole would take, each with a sentence."""
    known = recbole_keys() | kd_keys()
    notes = {}
    for key in plain:
        if key in known or recbole_reads(key):
            continue
        if origin == "the command line":
            raise KDError(f"nobody knows the key '{key}' on the command line{did_you_mean(key, known)}")
        hint = did_you_mean(key, kd_keys(), cutoff=0.8)
        if hint:
            raise KDError(f"nobody knows the key '{key}' in {origin}{hint}")
        notes[key] = (
            f"nobody knows the key '{key}' in {origin}: it changes nothing{did_you_mean(key, known, cutoff=0.8)}"
        )
    for side, own in blocks.items():
        for key in own:
            if key in ONE_SIDE_KEYS:
                continue
            if key in kd_keys() or key in ("model", *RUN_LEVEL_KEYS):
                raise KDError(
                    f"'{key}' in the block '{side}' of {origin} is no key of one side: write it without '{side}'"
                )
            if key not in recbole_keys() and not recbole_reads(key):
                raise KDError(f"nobody knows the key '{side}.{key}' in {origin}{did_you_mean(key, recbole_keys())}")
    return notes


def _overridden_models(models, student):
    """What is said of a RecBole model that a file names, where a later layer names the method."""
    for origin, name in reversed(models[:-1]):
        if name not in (student, models[-1][1]) and is_recbole_model(name):
            text = f"model: {name} in {origin} gives way to {models[-1][1]}"
            # under a name that no command line has: --model is what it gives way to
            return {f"model in {origin}": f"{text}: write student_model: {name} to distil into it"}
    return {}


def _resolve(plain, blocks):
    method, dataset = plain.pop("model", None), plain.pop("dataset", None)
    if method is None:
        raise KDError(f"no method was given: write --model= and one of {', '.join(method_names())}")
    if dataset is None:
        raise KDError("no dataset was given: write --dataset=ml-100k, say")
    if not isinstance(dataset, (str, int)):  # a folder may be called 2020
        raise KDError(f"dataset={dataset!r} is not a name: write --dataset=ml-100k, say, one dataset a run")
    if method not in method_names():
        if is_recbole_model(method):
            raise KDError(f"'{method}' is a RecBole model, not a method: write --model=MKD --student_model={method}")
        raise KDError(f"nobody knows the method '{method}'{did_you_mean(str(method), method_names())}")
    defaults = method_keys(method)
    student = plain.pop("student_model", None) or defaults["student_model"].default
    teachers = parse_teacher_entries(
        plain.pop("teachers", None), plain.pop("teacher_model", None), plain.pop("teacher_path", None)
    )
    names = [("student_model", student), *(("teacher_model", entry.model) for entry in teachers)]
    for key, name in names:
        if name is not None and not is_recbole_model(name):
            raise KDError(f"{key}={name!r} is not a RecBole model{_suggest_model(str(name))}")
    return Layers(method, str(dataset), student, teachers, plain, blocks)


def _suggest_model(name):
    if "," in name:
        return f"; several are a list: {[part.strip() for part in name.split(',')]}"
    return did_you_mean(name, _general_models())


def _general_models():
    import recbole.model.general_recommender as general

    return [name for name in dir(general) if isinstance(getattr(general, name), type)]
