"""The user's layers: files < config_dict < command line, each parted into plain keys and teacher / student blocks."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import yaml
from recbole.config import Config as RecBoleConfig

from recbole_kd.config.keys import (
    OF_THE_RUN,
    ONE_SIDE,
    RECBOLE,
    KDError,
    keys_of,
    method_names,
    nearest,
    our_keys,
    recbole_keys,
    recbole_reads,
)
from recbole_kd.config.teachers import Entry, entries_of, path_or_list

SIDES = ("teacher", "student")
# read as they stand: RecBole evaluates strings, and a file may be called os.pth
PATH_KEYS = {"teacher_path", "result_file", "data_path", "checkpoint_dir", "dataset_save_path", "dataloaders_save_path"}
SHORT = {"-m": "model", "-d": "dataset"}


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
    teachers: tuple[Entry, ...]
    plain: dict
    blocks: dict = field(default_factory=lambda: {side: {} for side in SIDES})
    said: frozenset = frozenset()
    notes: dict = field(default_factory=dict)

    def of(self, side):
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
        own, own_blocks = _part(layer, origin, as_text)
        notes |= _check_names(own, own_blocks, origin)
        models += [(origin, own["model"])] if "model" in own else []
        plain.update(own)
        for side in SIDES:
            blocks[side].update(own_blocks[side])
    # the command line is the last of the sources
    said = frozenset({*own, *(f"{side}.{key}" for side in SIDES for key in own_blocks[side])})
    layers = _resolve(plain, blocks)
    return replace(layers, said=said, notes=notes | _given_way(models, layers.student_model))


def check_words(words):
    """Refuse keys of a command line that nobody knows, as ``parse_argv`` gives them. Raises KDError."""
    plain, blocks = _part(words, "the command line", True)
    _check_names(plain, blocks, "the command line")


def parse_argv(argv):
    """``--key=value``, ``--key value``, ``-m`` and ``-d`` as a dict of strings. Raises KDError."""
    found: dict[str, str] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        key = SHORT.get(name, name[2:] if name.startswith("--") else "")
        if not key:
            raise KDError(f"'{word}' on the command line is not a key: write --key=value")
        if not equals:
            if not words or words[0].startswith("--") or words[0] in SHORT:
                raise KDError(_no_value(word, key))
            value = words.pop(0)
        if found.get(key, value) != value:
            raise KDError(f"--{key} stands twice on the command line, as '{found[key]}' and as '{value}'")
        found[key] = value
    return found


def _no_value(word, key):
    known = keys_of(method_names()[0]).get(key)
    example = "True" if known is not None and known.type == "bool" else "value"
    hint = nearest(word, ("--list", "--explain", "--help"), cutoff=0.75)
    return f"'{word}' on the command line has no value: write {word}={example}{hint}"


def typed(key, value):
    """A string of the command line or of config_dict as RecBole types it; paths as they stand."""
    if not isinstance(value, str):
        return plain_value(key, value)
    if key == "teacher_path":
        return path_or_list(value)
    if key == "teachers":
        return _as_in_a_file(value)
    if key in PATH_KEYS:
        return None if value == "None" else value
    try:
        found = RecBoleConfig._convert_config_dict(None, {key: value})[key]
    except Exception:  # RecBole evaluates the string and lets most errors through: then it is a string
        return value
    return value if key == "dataset" and isinstance(found, (int, float)) else found  # a name may be a number


def plain_value(key, value):
    """A value as a YAML file could have it: the config goes into every checkpoint, and its reader takes no others.

    Raises:
        KDError: there is no such value.
    """
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {inner: plain_value(key, part) for inner, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain_value(key, part) for part in value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise KDError(f"{key} holds a {type(value).__name__}, {value!r}: write plain numbers, strings, lists and dicts")


def _as_in_a_file(value):
    """``[{model: BPR}]`` as a YAML file has it; Python's quotes are YAML too."""
    if value == "None":
        return None
    try:
        return yaml.load(value, Loader=RecBoleConfig._build_yaml_loader(None))
    except yaml.YAMLError as error:
        raise KDError(f'teachers={value} is no list: write "[{{model: BPR}}, {{path: a.pth}}]"') from error


def read_yaml(file, what="config file"):
    """The keys in a YAML file, as RecBole reads them: 1e-3 is a number. Raises KDError, which says ``what`` it is."""
    loader = RecBoleConfig._build_yaml_loader(None)
    try:
        with open(file, encoding="utf-8") as stream:
            content = yaml.load(stream.read(), Loader=loader)
    except OSError as error:
        raise KDError(f"the {what} '{file}' cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise KDError(f"the {what} '{file}' is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content or {}, Mapping):
        raise KDError(f"the {what} '{file}' does not hold 'key: value' lines")
    return content or {}


def _part(layer, origin, as_text):
    """One layer as its plain keys and its blocks; ``teacher.x`` and ``teacher: {x: …}`` are the same thing."""
    plain: dict[str, Any] = {}
    blocks: dict[str, dict] = {side: {} for side in SIDES}
    for key, value in layer.items():
        side, dot, name = str(key).partition(".")
        if side in SIDES and dot:
            blocks[side][name] = value
        elif key in SIDES:
            if as_text and isinstance(value, str):
                value = typed(key, value)
            if not isinstance(value or {}, Mapping):
                raise KDError(f"'{key}' in {origin} is a block of keys, not {value!r}")
            blocks[key].update(value or {})
        else:
            plain[str(key)] = value
    read = typed if as_text else plain_value
    plain = {key: read(key, value) for key, value in plain.items()}
    blocks = {side: {key: read(key, value) for key, value in own.items()} for side, own in blocks.items()}
    return plain, blocks


def _check_names(plain, blocks, origin):
    """Refuse keys that nobody knows; returns those that RecBole would take, each with a sentence."""
    known = recbole_keys() | our_keys()
    notes = {}
    for key in plain:
        if key in known or recbole_reads(key):
            continue
        if origin == "the command line":
            raise KDError(f"nobody knows the key '{key}' on the command line{nearest(key, known)}")
        hint = nearest(key, our_keys(), cutoff=0.8)
        if hint:
            raise KDError(f"nobody knows the key '{key}' in {origin}{hint}")
        notes[key] = f"nobody knows the key '{key}' in {origin}: it changes nothing{nearest(key, known, cutoff=0.8)}"
    for side, own in blocks.items():
        for key in own:
            if key in ONE_SIDE:
                continue
            if key in our_keys() or key in ("model", *OF_THE_RUN):
                raise KDError(
                    f"'{key}' in the block '{side}' of {origin} is no key of one side: write it without '{side}'"
                )
            if key not in recbole_keys() and not recbole_reads(key):
                raise KDError(f"nobody knows the key '{side}.{key}' in {origin}{nearest(key, recbole_keys())}")
    return notes


def _given_way(models, student):
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
        raise KDError(f"nobody knows the method '{method}'{nearest(str(method), method_names())}")
    defaults = keys_of(method)
    student = plain.pop("student_model", None) or defaults["student_model"].default
    teachers = entries_of(
        plain.pop("teachers", None), plain.pop("teacher_model", None), plain.pop("teacher_path", None)
    )
    names = [("student_model", student), *(("teacher_model", entry.model) for entry in teachers)]
    for key, name in names:
        if name is not None and not is_recbole_model(name):
            raise KDError(f"{key}={name!r} is not a RecBole model{_meant(str(name))}")
    return Layers(method, str(dataset), student, teachers, plain, blocks)


def is_recbole_model(name):
    """Whether RecBole brings a model class of this very name."""
    if not isinstance(name, str) or name in method_names() or not name.isidentifier():
        return False
    files = (RECBOLE / "model").glob(f"*_recommender/{name.lower()}.py")
    return any(f"class {name}(" in file.read_text(encoding="utf-8") for file in files)


def _meant(name):
    if "," in name:
        return f"; several are a list: {[part.strip() for part in name.split(',')]}"
    return nearest(name, _general_models())


def _general_models():
    import recbole.model.general_recommender as general

    return [name for name in dir(general) if isinstance(getattr(general, name), type)]
