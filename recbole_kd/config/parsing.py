"""Command lines and strings as typed values."""

import ast
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import yaml
from recbole.config import Config as RecBoleConfig

from recbole_kd.config.schema import method_keys, method_names
from recbole_kd.config.teacher_entries import parse_path_or_list
from recbole_kd.errors import KDError, did_you_mean

# never evaluated: RecBole evaluates strings, and a file may be called os.pth
PATH_KEYS = {"teacher_path", "result_file", "data_path", "checkpoint_dir", "dataset_save_path", "dataloaders_save_path"}
SHORT_FLAGS = {"-m": "model", "-d": "dataset"}
FLAGS = ("--list", "--list-recipes", "--explain", "--help")


def parse_argv(argv: Iterable[str]) -> dict[str, str]:
    """``--key=value``, ``--key value``, ``-m`` and ``-d`` as a dict of strings.

    Raises:
        KDError: a word that is no key, a key without a value, one key with two values.
    """
    keys: dict[str, str] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        key = SHORT_FLAGS.get(name, name[2:] if name.startswith("--") else "")
        if not key:
            raise KDError(f"'{word}' on the command line is not a key: write --key=value")
        if not equals:
            if not words or words[0].startswith("--") or words[0] in SHORT_FLAGS:
                raise KDError(_missing_value_message(word, key))
            value = words.pop(0)
        if keys.get(key, value) != value:
            raise KDError(f"--{key} is given twice on the command line, as '{keys[key]}' and as '{value}'")
        keys[key] = value
    return keys


def _missing_value_message(word: str, key: str) -> str:
    known = method_keys(method_names()[0]).get(key)
    example = "True" if known is not None and known.type == "bool" else "value"
    hint = did_you_mean(word, FLAGS, cutoff=0.75)
    return f"'{word}' on the command line has no value: write {word}={example}{hint}"


def parse_config_files(value: str) -> list[str]:
    """The files that ``--config_files`` names: one, several separated by spaces, or a list in brackets.

    Raises:
        KDError: a list that cannot be read, or a name with spaces that is neither a file nor several.
    """
    if value.startswith("["):
        return _literal_list("config_files", value, "\"['my a.yaml', 'b.yaml']\"")
    if os.path.exists(value):
        return [value]
    names = value.split()
    missing = [name for name in names if not os.path.exists(name)]
    if len(names) > 1 and missing:
        raise KDError(
            f"config_files={value}: there is no file of this name, and read as {len(names)} names separated by spaces "
            f"{missing[0]} is missing"
        )
    return names


def _literal_list(key: str, value: str, example: str) -> list[str]:
    try:
        names = ast.literal_eval(value)
    except (ValueError, SyntaxError) as error:
        raise KDError(f"{key}={value} is not a list: write {example}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise KDError(f"{key}={value} is not a list of names: write {example}")
    return names


def parse_value(key: str, value: Any) -> Any:
    """A string of the command line or of config_dict as RecBole types it; paths are never evaluated."""
    if not isinstance(value, str):
        return to_plain_value(key, value)
    if key == "teacher_path":
        return parse_path_or_list(value)
    if key == "teachers":
        return _parse_teacher_list(value)
    if key in PATH_KEYS:
        return None if value == "None" else value
    try:
        parsed = RecBoleConfig._convert_config_dict(None, {key: value})[key]
    except Exception:  # RecBole evaluates the string and catches few errors: then it is a string
        return value
    return value if key == "dataset" and isinstance(parsed, (int, float)) else parsed  # a name may be a number


def to_plain_value(key: str, value: Any) -> Any:
    """A value as a YAML file could have it: the config goes into every checkpoint, whose reader takes no others.

    Raises:
        KDError: YAML has no such value.
    """
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {name: to_plain_value(key, element) for name, element in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(to_plain_value(key, element) for element in value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise KDError(f"{key} holds a {type(value).__name__}, {value!r}: write plain numbers, strings, lists and dicts")


def _parse_teacher_list(value: str) -> Any:
    """``[{model: BPR}]`` as a YAML file has it; Python's quotes are YAML too."""
    if value == "None":
        return None
    try:
        return yaml.load(value, Loader=RecBoleConfig._build_yaml_loader(None))
    except yaml.YAMLError as error:
        raise KDError(f'teachers={value} is not a list: write "[{{model: BPR}}, {{path: a.pth}}]"') from error
