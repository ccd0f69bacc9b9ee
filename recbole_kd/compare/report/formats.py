"""The format of numbers in all tables of a comparison."""

from collections.abc import Mapping
from typing import Any


def mean_sd(entry: Mapping[str, Any]) -> str:
    """The mean and the standard deviation; the mean alone without a deviation.

    >>> mean_sd({"mean": 0.2928, "sd": 0.0037})
    '0.2928 ± 0.0037'
    """
    return format_number(entry["mean"]) + (f" ± {entry['sd']:.4f}" if entry["sd"] is not None else "")


def format_number(value: float | None, digits: int = 4) -> str:
    """A number with thousands separators; empty for None.

    >>> format_number(1234.5, 1)
    '1,234.5'
    """
    return "" if value is None else f"{value:,.{digits}f}"


def format_signed(value: float | None, digits: int = 4) -> str:
    """A number with its sign; empty for None.

    >>> format_signed(0.01)
    '+0.0100'
    """
    return "" if value is None else f"{value:+.{digits}f}"


def format_percent(share: float | None) -> str:
    """A share in whole percents; empty for None.

    >>> format_percent(0.876)
    '88%'
    """
    return "" if share is None else f"{share:.0%}"


def format_p_value(p: float | None) -> str:
    """A p-value with two significant digits; empty for None.

    >>> format_p_value(0.0312)
    '0.031'
    """
    return "" if p is None else "< 0.0001" if p < 0.0001 else f"{p:.2g}"
