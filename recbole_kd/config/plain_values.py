"""Values as a YAML file could have them: the config goes into every checkpoint, whose reader takes no others."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from recbole_kd.errors import KDError

DEPTH = 20  # of nested lists and dicts; no key of RecBole's has more than three
SIZE = 1_000_000  # values in all, as YAML's references may repeat one list without end


def to_plain_value(key: str, value: Any) -> Any:
    """A value as a YAML file could have it: numbers, strings, lists and dicts.

    Args:
        key: the key, for messages.
        value: its value. Paths become strings, numpy's numbers become Python's.

    Raises:
        KDError: YAML has no such value, it is nested too deeply, or a string holds what no file name or text can.
    """
    return _Reader(key).plain(value, DEPTH)


class _Reader:
    """Converts one value, and counts what it holds.

    Args:
        key: the key, for messages.
    """

    def __init__(self, key: str) -> None:
        self.key, self.room = key, SIZE

    def plain(self, value: Any, depth: int) -> Any:
        """The plain form of a value that may be nested ``depth`` times. Raises KDError."""
        self.room -= 1
        if depth < 0 or self.room < 0:
            raise KDError(f"{self.key} holds a value that is nested too deeply, or too large: write a short one")
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, Mapping):
            return {self._name(name): self.plain(element, depth - 1) for name, element in value.items()}
        if isinstance(value, (list, tuple)):
            elements = [self.plain(element, depth - 1) for element in value]
            return elements if isinstance(value, list) else tuple(elements)
        if isinstance(value, str):
            return self._text(value)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        kind = type(value).__name__
        raise KDError(f"{self.key} holds a {kind}, {value!r}: write plain numbers, strings, lists and dicts")

    def _name(self, name: Any) -> Any:
        if isinstance(name, (list, tuple, Mapping)):
            raise KDError(f"{self.key} holds a dict whose key is a {type(name).__name__}: write plain names")
        return self.plain(name, 0)

    def _text(self, text: str) -> str:
        if "\0" in text:
            raise KDError(f"{self.key}={text!r} holds a NUL character: leave it out")
        if not is_unicode(text):
            raise KDError(f"{self.key}={text!r} is not UTF-8: rename the file, or write the text in UTF-8")
        return text


def is_unicode(text: str) -> bool:
    """Whether a string can be written as UTF-8; a path of other bytes cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
