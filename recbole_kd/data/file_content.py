"""Checks of the lines of an atomic file: what RecBole's reader fails over, or reads as something else."""

import mmap
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from recbole_kd.errors import KDError


def check_lines(file: Path, separator: str, columns: Mapping[str, int]) -> None:
    """Refuse a file with an open quote, or with an empty token of a user or an item.

    Args:
        file: a file of interactions, in an encoding that extends ASCII.
        separator: what divides its columns.
        columns: the columns of tokens that no line may leave empty, each with its position.

    Raises:
        KDError: with the file and the line.
    """
    with _mapped(file) as content:
        _check_quotes(file, separator.encode(), content)
        for name, position in columns.items():
            _check_column(file, separator.encode(), content, name, position)


@contextmanager
def _mapped(file: Path) -> Iterator[mmap.mmap]:
    with open(file, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


def _line(content: mmap.mmap, position: int) -> int:
    """The number of the line that holds a byte, from 1."""
    return content[:position].count(b"\n") + 1


def _check_quotes(file: Path, separator: bytes, content: mmap.mmap) -> None:
    """Refuse a field that begins with a quote which its line does not close: the lines after it would belong to it."""
    if content.find(b'"') < 0:
        return
    closed = rb'"(?:[^"\r\n]|"")*"(?=\r?$|' + re.escape(separator) + rb")"
    match = re.search(rb"(?m)(?:^|" + re.escape(separator) + rb")(?!" + closed + rb')(")', content)
    if match:
        raise KDError(
            f"line {_line(content, match.start(1))} of '{file}' has a field that begins with a quote and does not end "
            "with one: leave it out, or put the field in quotes and double the quote in it"
        )


def _check_column(file: Path, separator: bytes, content: mmap.mmap, name: str, position: int) -> None:
    field = rb"[^\r\n" + re.escape(separator) + rb"]*"
    before = rb"(?:" + field + re.escape(separator) + rb"){" + str(position).encode() + rb"}"
    # a line without any content is skipped by RecBole's reader
    end = re.escape(separator) + (rb"|\r?$" if position else rb"")
    match = re.search(rb"(?m)^" + before + rb"(?:" + end + rb")", content)
    if match:
        raise KDError(
            f"line {_line(content, match.start())} of '{file}' has an empty {name}: fill it, or leave the line out"
        )
