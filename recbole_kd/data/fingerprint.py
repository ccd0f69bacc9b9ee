"""The fingerprint of a split: hashes that make two models comparable."""

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fingerprint:
    """What makes two models comparable: hashes of a split's vocabulary and pairs.

    Attributes:
        vocabulary: the hash of users' and items' tokens by id.
        train: the hash of the training pairs.
        valid: the hash of the validation pairs.
        test: the hash of the test pairs.
    """

    vocabulary: str
    train: str
    valid: str
    test: str

    @property
    def combined(self) -> str:
        """One hash of all four."""
        return sha256_of(self.vocabulary, self.train, self.valid, self.test)


def sha256_of(*contents: np.ndarray | str | bytes) -> str:
    """The SHA-256 of arrays of integers or strings, texts and bytes together, as hex digits.

    >>> sha256_of("a", np.array([1]))[:8] == sha256_of("a", np.array([2]))[:8]
    False
    """
    digest = hashlib.sha256()
    for content in contents:
        if isinstance(content, np.ndarray):
            content = content.tobytes() if content.dtype.kind == "i" else "\0".join(content.tolist()).encode()
        digest.update(content if isinstance(content, bytes) else str(content).encode())
        digest.update(b"\1")
    return digest.hexdigest()
