"""Command lines and strings as typed values."""

import os
import shlex
from collections.abc import Iterable
from typing import Any

from recbole_kd.config.literals import parse_literal, parse_text, parse_yaml
from recbole_kd.config.plain_values import to_plain_value
from recbole_kd.config.recbole_schema import recbole_texts
from recbole_kd.config.schema import method_keys, method_names
from recbole_kd.config.teacher_entries import parse_path_or_list
from recbole_kd.errors import KDError, did_you_mean

# these stay text: a file may be called 10 or None.pth
PATH_KEYS = {"teacher_path", "result_file", "data_path", "checkpoint_dir", "dataset_save_path", "dataloaders_save_path"}
PATH_KEYS |= {"init_from", "init_data_path"}
TEXT_KEYS = {"dataset", *recbole_texts()} - {"gpu_id"}
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
            raise KDError(_no_key_message(word, keys))
        if not equals:
            if not words or words[0].startswith("--") or words[0] in SHORT_FLAGS:
                raise KDError(_missing_value_message(word, key))
            value = words.pop(0)
        if keys.get(key, value) != value:
            raise KDError(f"--{key} is given twice on the command line, as '{keys[key]}' and as '{value}'")
        keys[key] = value
    return keys


def _no_key_message(word: str, keys: dict[str, str]) -> str:
    """The message for a word that is no key; it may be the rest of a value with spaces."""
    hint = ""
    if keys and not word.startswith("-"):
        key, value = list(keys.items())[-1]
        hint = f", or quote a value with spaces: {shlex.quote(f'--{key}={value} {word}')}"
    return f"'{word}' on the command line is not a key: write --key=value{hint}"


def _missing_value_message(word: str, key: str) -> str:
    known = method_keys(method_names()[0]).get(key)
    example = "True" if known is not None and known.type == "bool" else "value"
    hint = did_you_mean(word, FLAGS, cutoff=0.75)
    return f"'{word}' on the command line has no value: write {word}={example}{hint}"


def parse_config_files(value: str) -> list[str]:
    """The files that ``--config_files`` names: one, several separated by spaces, or a list in brackets.

    A name may hold spaces where the file exists.

    Raises:
        KDError: a list that cannot be read, or a name with spaces that is neither a file nor several.
    """
    if os.path.exists(value):
        return [value]
    if value.startswith("["):
        return _literal_list("config_files", value, "\"['my a.yaml', 'b.yaml']\"")
    names = _existing_names(value.split(" "))
    missing = [name for name in names if not os.path.exists(name)]
    if len(names) > 1 and missing:
        raise KDError(
            f"config_files={value}: there is no file of this name, and read as {len(names)} names separated by spaces "
            f"{missing[0]} is missing"
        )
    return names


def _existing_names(words: list[str]) -> list[str]:
    """The names in a line that was divided at its spaces: the longest that exist, and single words otherwise."""
    names = []
    while words:
        lengths = (length for length in range(len(words), 1, -1) if os.path.exists(" ".join(words[:length])))
        length = next(lengths, 1)
        names.append(" ".join(words[:length]))
        words = words[length:]
    return [name for name in names if name]


def _literal_list(key: str, value: str, example: str) -> list[str]:
    try:
        names = parse_literal(value)
    except ValueError as error:
        raise KDError(f"{key}={value} is not a list: write {example}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise KDError(f"{key}={value} is not a list of names: write {example}")
    return names


def parse_value(key: str, value: Any) -> Any:
    """A string of the command line or of config_dict as RecBole types it; nothing is evaluated.

    Raises:
        KDError: a value that a YAML file could not have.
    """
    return to_plain_value(key, _typed(key, value) if isinstance(value, str) else value)


def _typed(key: str, text: str) -> Any:
    if key == "teacher_path":
        return parse_path_or_list(text)
    if key == "teachers":
        return _parse_teacher_list(text)
    if key in PATH_KEYS or key.endswith("_num_interval"):  # [5,10] is an interval, not a list
        return None if text == "None" else text
    value = parse_text(text)
    if key in TEXT_KEYS and not isinstance(value, (str, type(None))):  # a name may be a number
        return text
    return value


def _parse_teacher_list(text: str) -> Any:
    """``[{model: BPR}]`` as a YAML file has it, or as Python writes it."""
    try:
        return parse_literal(text)
    except ValueError:
        pass
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise KDError(f'teachers={text} is not a list: write "[{{model: BPR}}, {{path: a.pth}}]"') from error
