"""YAML files as RecBole reads them."""

from collections.abc import Mapping

import yaml
from recbole.config import Config as RecBoleConfig

from recbole_kd.errors import KDError


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
