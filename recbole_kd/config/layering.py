"""The layers of a configuration, merged: recipes < files < config_dict < arguments < command line.

Each layer has plain keys and the blocks ``teacher`` and ``student``.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import recbole.model.general_recommender as general_recommender

from recbole_kd.config.model_names import is_model_path, model_paths_in, resolve_model
from recbole_kd.config.parsing import parse_argv, parse_config_files, parse_value
from recbole_kd.config.plain_values import to_plain_value
from recbole_kd.config.recbole_schema import model_keys, recbole_keys, recbole_reads
from recbole_kd.config.recipes import find_recipe, read_recipe, recipe_method, split_recipe_names
from recbole_kd.config.schema import (
    ONE_SIDE_KEYS,
    RUN_LEVEL_KEYS,
    check_method_name,
    is_recbole_model,
    kd_keys,
    method_keys,
    method_names,
)
from recbole_kd.config.teacher_entries import TeacherEntry, parse_teacher_entries
from recbole_kd.config.yaml_loader import read_yaml
from recbole_kd.errors import KDError, did_you_mean

SIDES = ("teacher", "student")
COMMAND_LINE = "the command line"
Blocks = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Layers:
    """What the user requests, merged: names, plain keys, and the blocks of one side.

    Attributes:
        method: the method's name.
        dataset: the dataset's name.
        student_model: the student's model, by RecBole's name or as ``package.module:Class``.
        teachers: the teachers, as the user names them.
        plain: the keys outside the blocks.
        blocks: the keys inside the blocks ``teacher`` and ``student``.
        cli_keys: the keys on the command line, those of a block as ``teacher.key``.
        notes: keys in files and dicts that are unknown or overridden, each with a sentence for the log.
        choices: sentences for the log about what was chosen for the user.
    """

    method: str
    dataset: str
    student_model: str
    teachers: tuple[TeacherEntry, ...]
    plain: dict[str, Any]
    blocks: Blocks = field(default_factory=lambda: {side: {} for side in SIDES})
    cli_keys: frozenset[str] = frozenset()
    notes: dict[str, str] = field(default_factory=dict)
    choices: tuple[str, ...] = ()

    def block(self, side: str) -> dict[str, Any]:
        """The keys that the block of one side sets."""
        return self.blocks[side]


class _Layer(NamedTuple):
    """One source of keys: where they come from, and the keys, split and typed."""

    origin: str
    plain: dict[str, Any]
    blocks: Blocks


def read_layers(
    model: str | None = None,
    dataset: str | None = None,
    config_file_list: Sequence[str | Path] | str | Path | None = None,
    config_dict: Mapping[str, Any] | None = None,
    argv: Iterable[str] | None = None,
    typed: bool = False,
) -> Layers:
    """Merge the user's layers and check every name in them.

    Args:
        model: name of a method; the layers' ``model`` where None, which the command line overrides in any case.
        dataset: name of a dataset; likewise.
        config_file_list: YAML files, later ones winning, or a single one; blocks merge key by key.
        config_dict: keys as a dict; strings are typed as RecBole types them.
        argv: the command line without the program; None: no command line is read.
        typed: whether the values of ``config_dict`` have their types already, as those of a YAML file.

    Raises:
        KDError: an unknown method, model, recipe or key, a file that cannot be read, a value that does not fit.
    """
    command_line, keys = dict(parse_argv(argv or [])), dict(config_dict or {})
    recipes = _pop_recipes(keys, command_line)
    files = [config_file_list] if isinstance(config_file_list, (str, os.PathLike)) else list(config_file_list or [])
    files += parse_config_files(command_line.pop("config_files", ""))
    names = {key: value for key, value in (("model", model), ("dataset", dataset)) if value is not None}
    layers = [
        *(_split(read_recipe(name), f"the recipe '{name}'", False) for name in recipes),
        *(_split(read_yaml(file), str(file), False) for file in files),
        _split(keys, "config_dict", not typed),
        _split(names, "arguments", False),
        _split(command_line, COMMAND_LINE, True),
    ]
    return _combine(layers, recipes)


def _combine(layers: Sequence[_Layer], recipes: Sequence[str]) -> Layers:
    """Merge the layers, of which the last is the command line, and check the names in them."""
    plain, blocks = _merge(layers)
    model_specific = set().union(*(model_keys(path) for path in model_paths_in(plain)))
    notes: dict[str, str] = {}
    for layer in layers:
        notes |= _check_key_names(layer, model_specific)
    choices = () if "model" in plain else _choose_method(plain, recipes)
    resolved = _resolve(plain)
    cli = layers[-1]
    return Layers(
        *resolved,
        blocks=blocks,
        cli_keys=frozenset({*cli.plain, *(f"{side}.{key}" for side in SIDES for key in cli.blocks[side])}),
        notes=notes | _overridden_model_note(layers, resolved[2]),
        choices=choices,
    )


def _pop_recipes(keys: dict[str, Any], command_line: dict[str, str]) -> list[str]:
    """The full names of the recipes, taken out of the layers: a recipe is a file, not a setting of the run."""
    value = keys.pop("recipe", None)
    value = command_line.pop("recipe", value)
    return [find_recipe(name) for name in split_recipe_names(value)]


def _choose_method(plain: dict[str, Any], recipes: Sequence[str]) -> tuple[str, ...]:
    """Set ``model`` to the method of the last recipe that names one; returns the sentence for the log."""
    for name in reversed(recipes):
        method = recipe_method(name)
        if method is not None:
            plain["model"] = method
            return (f"the method is {method}, after the recipe {name}",)
    return ()


def _merge(layers: Iterable[_Layer]) -> tuple[dict[str, Any], Blocks]:
    plain: dict[str, Any] = {}
    blocks: Blocks = {side: {} for side in SIDES}
    for layer in layers:
        plain.update(layer.plain)
        for side in SIDES:
            blocks[side].update(layer.blocks[side])
    return plain, blocks


def check_cli_keys(keys: Mapping[str, str]) -> None:
    """Refuse unknown keys of a command line, as ``parse_argv`` returns them. Raises KDError."""
    layer = _split(keys, COMMAND_LINE, True)
    _check_key_names(layer, set().union(*(model_keys(path) for path in model_paths_in(layer.plain))))


def split_blocks(keys: Mapping[str, Any], origin: str, as_text: bool) -> tuple[dict[str, Any], Blocks]:
    """The plain keys of one layer and its blocks; ``teacher.x`` and ``teacher: {x: …}`` are the same thing.

    Args:
        keys: the layer.
        origin: where it comes from, for messages.
        as_text: whether strings are to be typed, as those of a command line are.

    Raises:
        KDError: a block that holds no keys, or a value that does not fit.
    """
    plain: dict[str, Any] = {}
    blocks: Blocks = {side: {} for side in SIDES}
    for key, value in keys.items():
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
    convert = parse_value if as_text else to_plain_value
    plain = {key: convert(key, value) for key, value in plain.items()}
    blocks = {side: {key: convert(key, value) for key, value in block.items()} for side, block in blocks.items()}
    return plain, blocks


def _split(keys: Mapping[str, Any], origin: str, as_text: bool) -> _Layer:
    return _Layer(origin, *split_blocks(keys, origin, as_text))


def _check_key_names(layer: _Layer, model_specific: set[str]) -> dict[str, str]:
    """Refuse unknown keys, except those that RecBole would take; returns these, each with a sentence.

    Args:
        layer: the keys.
        model_specific: the keys of models of other packages.
    """
    known = recbole_keys() | kd_keys() | model_specific
    notes = {}
    for key in layer.plain:
        if key in known or recbole_reads(key):
            continue
        if layer.origin == COMMAND_LINE:
            raise KDError(f"unknown key '{key}' on the command line{did_you_mean(key, known)}")
        if key == "recipe":
            raise KDError(f"recipe in {layer.origin}: a recipe is named on the command line or in config_dict")
        hint = did_you_mean(key, kd_keys(), cutoff=0.8)
        if hint:
            raise KDError(f"unknown key '{key}' in {layer.origin}{hint}")
        hint = did_you_mean(key, known, cutoff=0.8)
        notes[key] = f"unknown key '{key}' in {layer.origin}: it changes nothing{hint}"
    for side, block in layer.blocks.items():
        for key in block:
            _check_block_key(side, key, layer.origin, model_specific)
    return notes


def _check_block_key(side: str, key: str, origin: str, model_specific: set[str]) -> None:
    if key in ONE_SIDE_KEYS or key in model_specific:
        return
    if key in kd_keys() or key in ("model", *RUN_LEVEL_KEYS):
        raise KDError(f"'{key}' in the block '{side}' of {origin} is no key of one side: write it without '{side}'")
    if key not in recbole_keys() and not recbole_reads(key):
        raise KDError(f"unknown key '{side}.{key}' in {origin}{did_you_mean(key, recbole_keys() | model_specific)}")


def _overridden_model_note(layers: Sequence[_Layer], student: str) -> dict[str, str]:
    """A note about a RecBole model that a file names as ``model``, where a later layer names the method."""
    models = [(layer.origin, layer.plain["model"]) for layer in layers if "model" in layer.plain]
    for origin, name in reversed(models[:-1]):
        if name not in (student, models[-1][1]) and is_recbole_model(name):
            text = f"model: {name} in {origin} gives way to {models[-1][1]}"
            # under a name that no command line has: --model is what it gives way to
            return {f"model in {origin}": f"{text}: write student_model: {name} to distil into it"}
    return {}


def _resolve(
    plain: dict[str, Any],
) -> tuple[str, str, str, tuple[TeacherEntry, ...], dict[str, Any]]:
    """Method, dataset, student, teachers, and the keys that are left."""
    plain = dict(plain)
    method, dataset = plain.pop("model", None), plain.pop("dataset", None)
    if method is None:
        raise KDError(f"no method was given: write --model= and one of {', '.join(method_names())}")
    if dataset is None:
        raise KDError("no dataset was given: write --dataset=ml-100k, say")
    if not isinstance(dataset, (str, int)):  # a folder may be called 2020
        raise KDError(f"dataset={dataset!r} is not a name: write --dataset=ml-100k, say, one dataset a run")
    _check_dataset_name(str(dataset))
    check_method_name(method)
    student = plain.pop("student_model", None) or method_keys(method)["student_model"].default
    teachers = parse_teacher_entries(
        plain.pop("teachers", None), plain.pop("teacher_model", None), plain.pop("teacher_path", None)
    )
    _check_model("student_model", student)
    for entry in teachers:
        if entry.model is not None:
            _check_model("teacher_model", entry.model)
    return method, str(dataset), student, teachers, plain


def _check_dataset_name(name: str) -> None:
    """Refuse a path: RecBole would look for the file path/path.inter."""
    path = name.rstrip(os.sep)
    folder, base = os.path.split(os.path.dirname(path) if path.endswith(".inter") else path)
    if base in ("", ".", "..") or os.path.basename(name) != name:
        remedy = f"write --data_path={folder or '.'} --dataset={base}" if base.strip(".") else "write --dataset=ml-100k"
        raise KDError(f"dataset={name!r} is not the name of a folder below data_path: {remedy}")


def _check_model(key: str, name: Any) -> None:
    if is_model_path(name):
        resolve_model(name)
    elif not is_recbole_model(name):
        raise KDError(f"{key}={name!r} is not a RecBole model{_suggest_model(str(name))}")


def _suggest_model(name: str) -> str:
    if "," in name:
        return f"; several are a list: {[part.strip() for part in name.split(',')]}"
    models = [attribute for attribute, value in vars(general_recommender).items() if isinstance(value, type)]
    return did_you_mean(name, models) or "; a class of another package is written as package.module:Class"
