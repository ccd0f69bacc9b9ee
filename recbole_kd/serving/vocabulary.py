"""Tokens and ids: the names that users and items have in the data files, and the numbers that the model knows."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from recbole_kd.errors import KDError, did_you_mean

SUGGESTION_POOL = 20_000  # tokens that are compared with an unknown one at most
FILE_SUFFIXES = (".txt", ".csv", ".tsv", ".lst")

Tokens = str | os.PathLike[str] | Iterable[str]


class Vocabulary:
    """The tokens of one side by id; id 0 is padding.

    Args:
        kind: ``user`` or ``item``, for messages.
        tokens: all tokens, the padding token included, shape [n + 1].
    """

    def __init__(self, kind: str, tokens: np.ndarray) -> None:
        self.kind = kind
        self.tokens = np.asarray(tokens).astype(str).astype(object)  # objects are taken without copying the text
        self._ids: dict[str, int] | None = None

    def __len__(self) -> int:
        """The number of tokens, without padding."""
        return len(self.tokens) - 1

    def id_by_token(self) -> dict[str, int]:
        """Ids by token, without padding."""
        if self._ids is None:
            self._ids = {token: number for number, token in enumerate(self.tokens[1:], start=1)}
        return self._ids

    def ids(self, tokens: Sequence[str], skip_unknown: bool = False) -> np.ndarray:
        """The ids of some tokens, int64, in their order.

        Args:
            tokens: the tokens; numbers are read as text.
            skip_unknown: leave out unknown tokens.

        Raises:
            KDError: an unknown token; the message names the nearest known one.

        >>> Vocabulary("item", np.array(["[PAD]", "a", "b"])).ids(["b", "a"]).tolist()
        [2, 1]
        """
        known = self.id_by_token()
        names = [str(token) for token in tokens]
        if not skip_unknown:
            unknown = [name for name in names if name not in known]
            if unknown:
                raise KDError(self._unknown(unknown))
        return np.array([known[name] for name in names if name in known], dtype=np.int64)

    def _unknown(self, unknown: list[str]) -> str:
        first = unknown[0]
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        return (
            f"unknown {self.kind} '{first}'{more}: the dataset has {len(self)} {self.kind}s without it"
            f"{did_you_mean(first, self._similar(first), cutoff=0.5)}; --skip-unknown (skip_unknown=True) leaves it out"
        )

    def _similar(self, name: str) -> list[str]:
        """Tokens that are likely to be near: comparing a name with millions of others takes minutes."""
        tokens = self.tokens[1:]
        if len(tokens) <= SUGGESTION_POOL:
            return tokens.tolist()
        close = [
            token for token in tokens if token[:2].lower() == name[:2].lower() and abs(len(token) - len(name)) <= 2
        ]
        return close[:SUGGESTION_POOL]


def read_tokens(tokens: Tokens, option: str) -> list[str]:
    """A list of tokens, given as a list, as text with commas, or as a file with a token on each line.

    Args:
        tokens: a list; a path; text, which is read as a path where such a file exists.
        option: the name of the option, for messages.

    Returns:
        The tokens in order, without duplicates.

    Raises:
        KDError: the file does not exist, or the list is empty.

    >>> read_tokens("196, 186,196", "users")
    ['196', '186']
    """
    if isinstance(tokens, os.PathLike) or (isinstance(tokens, str) and _is_file(tokens)):
        path = Path(tokens)
        if not os.path.isfile(path):
            raise KDError(f"{option}: the file '{path}' does not exist; write one token on each line of it")
        try:
            names = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise KDError(
                f"{option}: the file '{path}' is not text in UTF-8 ({error.reason}): save it in UTF-8"
            ) from error
    elif isinstance(tokens, str):
        names = tokens.split(",")
    else:
        names = [str(token) for token in tokens]
    unique = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    if not unique:
        raise KDError(f"{option} is empty: give tokens with commas between them, or a file with a token on each line")
    return unique


def _is_file(text: str) -> bool:
    return os.path.isfile(text) or os.sep in text or text.endswith(FILE_SUFFIXES)
