"""Command lines and strings as typed values."""

import os
from collections.abc import Mapping

import numpy as np
import yaml
from recbole.config import Config as RecBoleConfig

from recbole_kd.config.schema import method_keys, method_names
from recbole_kd.config.teacher_entries import parse_path_or_list
from recbole_kd.errors import KDError, did_you_mean

# read as they stand: RecBole evaluates strings, and a file may be called os.pth
PATH_KEYS = {"teacher_path", "result_file", "data_path", "checkpoint_dir", "dataset_save_path", "dataloaders_save_path"}
SHORT_FLAGS = {"-m": "model", "-d": "dataset"}


def parse_argv(argv):
    """``--key=value``, ``--key value``, ``-m`` and ``-d`` as a dict of strings. Raises KDError."""
    found: dict[str, str] = {}
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
        if found.get(key, value) != value:
            raise KDError(f"--{key} stands twice on the command line, as '{found[key]}' and as '{value}'")
        found[key] = value
    return found


def _missing_value_message(word, key):
    known = method_keys(method_names()[0]).get(key)
    example = "True" if known is not None and known.type == "bool" else "value"
    hint = did_you_mean(word, ("--list", "--explain", "--help"), cutoff=0.75)
    return f"'{word}' on the command line has no value: write {word}={example}{hint}"


def parse_value(key, value):
    """A string of the command line or of config_dict as RecBole types it; paths as they stand."""
    if not isinstance(value, str):
        return to_plain_value(key, value)
    if key == "teacher_path":
        return parse_path_or_list(value)
    if key == "teachers":
        return _parse_teacher_list(value)
    if key in PATH_KEYS:
        return None if value == "None" else value
    try:
        found = RecBoleConfig._convert_config_dict(None, {key: value})[key]
    except Exception:  # RecBole evaluates the string and lets most errors through: then it is a string
        return value
    return value if key == "dataset" and isinstance(found, (int, float)) else found  # a name may be a number


def to_plain_value(key, value):
    """A value as a YAML file could have it: the config goes into every checkpoint, and its reader takes no others.

    Raises:
        KDError: there is no such value.
    """
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {inner: to_plain_value(key, part) for inner, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(to_plain_value(key, part) for part in value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise KDError(f"{key} holds a {type(value).__name__}, {value!r}: write plain numbers, strings, lists and dicts")


def _parse_teacher_list(value):
    """``[{model: BPR}]`` as a YAML file has it; Python's quotes are YAML too."""
    if value == "None":
        return None
    try:
        return yaml.load(value, Loader=RecBoleConfig._build_yaml_loader(None))
    except yaml.YAMLError as error:
        raise KDError(f'teachers={value} is no list: write "[{{model: BPR}}, {{path: a.pth}}]"') from error
