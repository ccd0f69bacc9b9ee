"""YAML files as RecBole reads them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from recbole.config import Config as RecBoleConfig

from recbole_kd.errors import KDError


def read_yaml(file: Path | str, what: str = "config file") -> dict[str, Any]:
    """The keys in a YAML file, typed as RecBole types them: 1e-3 is a number.

    Args:
        file: the file.
        what: what the file is for, in messages.

    Raises:
        KDError: the file cannot be read, or does not hold keys.
    """
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
