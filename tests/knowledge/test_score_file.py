"""Files of scores: what is read, and what is refused instead of being read as something else."""

import numpy as np
import pytest

from recbole_kd.errors import KDError
from recbole_kd.knowledge.file_tables import read_table
from recbole_kd.knowledge.score_file import with_ids

TOKENS = (np.array(["[PAD]", "a", "b"]), np.array(["[PAD]", "x", "y"]))


@pytest.fixture
def read(tmp_path):
    """A function from the content of a file to the triples of ids and score that are read of it."""

    def triples(content):
        file = tmp_path / ("s.tsv" if isinstance(content, bytes) else "s.npz")
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            np.savez(file, **content)
        return with_ids(read_table(file), TOKENS, file).to_numpy().tolist()

    return triples


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_tokens_become_ids_with_and_without_a_byte_order_mark(read, mark):
    assert read(mark + b"user\titem\tscore\nb\tx\t2.5\na\ty\t1\n") == [[2, 1, 2.5], [1, 2, 1.0]]


def test_ranks_become_scores_and_quotes_are_those_of_csv(read):
    assert read(b'user\titem\trank:float\n"b"\tx\t1\na\ty\t2\n') == [[2, 1, -1.0], [1, 2, -2.0]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"user\titem\tscore\nr1\ta\tx\t1\nr2\tb\ty\t2\n", ["Expected 3 fields in line 2, saw 4"]),
        (b"user\titem\tscore\na\tx\t1\t\nb\ty\t2\t\n", ["Expected 3 fields in line 2, saw 4"]),
        (b"user\titem\tscore\na\tx\t1\nb\ty\n", ["row 3", "lacks a value"]),
        (b"user\titem\tscore\na\0b\tx\t1\n", ["NUL"]),
        (b"user\titem\tscore\na\xff\tx\t1\n", ["cannot be read", "utf-8"]),
        (b"user\titem\tscore\na\tx\t1+2j\n", ["cannot be read", "1+2j"]),
        (b"user\titem\tscore\na\tx\t1e39\n", ["single precision"]),
        ({"user": ["a"], "item": ["x"], "score": [1 + 2j]}, ["complex128", "real numbers"]),
        ({"user": ["a"], "item": ["x"], "score": np.array(["2020-01-01"], "M8[D]")}, ["datetime64", "real numbers"]),
        ({"user": ["a\0b"], "item": ["x"], "score": [1.0]}, ["does not have", r"'a\x00b'"]),
    ],
)
def test_what_would_be_read_as_something_else_is_refused(read, content, words):
    with pytest.raises(KDError) as caught:
        read(content)
    assert all(word in str(caught.value) for word in words), caught.value
