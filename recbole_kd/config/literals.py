"""Text as values, without evaluating anything: Python literals, and YAML.

RecBole passes the strings of a command line and of ``config_dict`` to ``eval``. The spellings that its users write,
``[1,2]``, ``{'a': 1}``, ``None``, ``True``, ``1e-3``, ``'quoted'``, are literals, and read as the same values here.
"""

import ast
import itertools
import re
import warnings
from typing import Any

import yaml
from recbole.config import Config as RecBoleConfig

from recbole_kd.errors import KDError

BRACKETS = 100
PLAIN_TYPES = (bool, int, float, str, list, tuple, dict, type(None))
# what damaged or hostile text makes ast and yaml raise: a date with a month 13, a number of 5,000 digits, !!bool x
_LITERAL_ERRORS = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)
_YAML_ERRORS = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError)


class _Loader(yaml.SafeLoader):
    """YAML with RecBole's spelling of numbers, ``1e-3`` among them, and no Python object but a tuple."""

    yaml_implicit_resolvers = RecBoleConfig._build_yaml_loader(None).yaml_implicit_resolvers


_Loader.add_constructor(
    "tag:yaml.org,2002:python/tuple",
    lambda loader, node: tuple(loader.construct_sequence(node, deep=True)),  # type: ignore[arg-type]
)


def parse_literal(text: str) -> Any:
    """The value of a Python literal.

    >>> parse_literal("{'max_norm': 5}"), parse_literal("1e-3"), parse_literal("None")
    ({'max_norm': 5}, 0.001, None)

    Args:
        text: the literal. Names, calls and operators are not literals.

    Raises:
        ValueError: it is not a literal, or one that no key takes, such as a complex number.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's own, about an unknown escape in a string
            value = ast.literal_eval(text)
    except _LITERAL_ERRORS as error:
        raise ValueError("not a literal") from error
    if not isinstance(value, PLAIN_TYPES):
        raise ValueError("not a value that a key takes")
    return value


def parse_yaml(text: str) -> Any:
    """The value of a YAML document, with numbers as RecBole reads them.

    >>> parse_yaml("{max_norm: 5, norm_type: 1e1}")
    {'max_norm': 5, 'norm_type': 10.0}

    Raises:
        ValueError: with the reason, on one line: it is not YAML, or it is nested too deeply.
    """
    if _bracket_depth(text) > BRACKETS:  # yaml takes time that grows with the square of it
        raise ValueError("it is nested too deeply")
    try:
        return yaml.load(text, Loader=_Loader)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except _YAML_ERRORS as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            reason if isinstance(error, yaml.YAMLError) else f"a value cannot be read ({reason})"
        ) from error


def _bracket_depth(text: str) -> int:
    """How deeply the brackets of a text are nested, those inside of quotes included."""
    steps = (1 if bracket in "[{" else -1 for bracket in re.findall(r"[\[\]{}]", text))
    return max(itertools.accumulate(steps), default=0)


def parse_text(text: str) -> Any:
    """A string of the command line or of ``config_dict`` as RecBole types it.

    A literal is its value, ``true`` and ``false`` in any case are switches, and a list or dict may be written as in
    YAML, ``{max_norm: 5}``. Everything else stays a string.

    Raises:
        KDError: a list or dict that is nested too deeply.
    """
    try:
        return parse_literal(text)
    except ValueError:
        pass
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if (text[:1], text[-1:]) in (("[", "]"), ("{", "}")):
        try:
            value = parse_yaml(text)
        except ValueError as error:
            if "nested too deeply" in str(error):
                raise KDError(f"the value {text[:40]!r}... is nested too deeply") from error
            return text
        # YAML reads {5} as a key without a value: only what looks like a list or a dict to its reader is one
        return value if not isinstance(value, dict) or None not in value.values() else text
    return text
