"""The fingerprint of a split: hashes that make two models comparable."""

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fingerprint:
    """What makes two models comparable: hashes of the vocabulary and of the pairs of each part of the split."""

    vocabulary: str
    train: str
    valid: str
    test: str

    @property
    def combined(self):
        """All of it in one hash."""
        return sha256_of(self.vocabulary, self.train, self.valid, self.test)


def sha256_of(*parts):
    """Arrays, texts and bytes in one SHA-256, as hex digits."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            part = part.tobytes() if part.dtype.kind == "i" else "\0".join(part.tolist()).encode()
        digest.update(part if isinstance(part, bytes) else str(part).encode())
        digest.update(b"\1")
    return digest.hexdigest()
