"""YAML files as RecBole reads them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_kd.config.literals import parse_yaml
from recbole_kd.config.plain_values import to_plain_value
from recbole_kd.errors import KDError


def read_yaml(file: Path | str, what: str = "config file") -> dict[str, Any]:
    """The keys in a YAML file, typed as RecBole types them: 1e-3 is a number. Nothing in it is evaluated.

    Args:
        file: the file.
        what: what the file is for, in messages.

    Raises:
        KDError: the file cannot be read, or does not hold keys.
    """
    if "\0" in os.fspath(file):
        raise KDError(f"the {what} {os.fspath(file)!r} holds a NUL character: write the name of a file")
    try:
        content = parse_yaml(Path(file).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise KDError(f"the {what} '{file}' cannot be read: {error.strerror}") from error
    except ValueError as error:  # UnicodeDecodeError among them
        raise KDError(f"the {what} '{file}' is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content or {}, Mapping):
        raise KDError(f"the {what} '{file}' does not hold 'key: value' lines")
    return to_plain_value(f"the {what} '{file}'", content or {})
