"""The marker beside a checkpoint is believed only if a training can have written it."""

import json

import pytest

from recbole_kd.io import write_record
from recbole_kd.trainer.done_marker import is_done_marker
from recbole_kd.trainer.training import read_done_marker

MARKER = {"best_valid_score": 0.5, "epochs": 3, "seconds": 1.0, "valid_scores": [[0, 0.4], [2, 0.5]]}
NAN, INF = float("nan"), float("inf")


def test_what_a_training_writes_is_a_marker():
    for more in ({}, {"progress": {"a": [[0, 1.0], [1, 2]]}}, {"valid_scores": [], "best_valid_score": -INF}):
        assert is_done_marker({**MARKER, **more})


@pytest.mark.parametrize(
    "wrong",
    [
        *([], None, "x", 3, True, {}),
        *({key: value for key, value in MARKER.items() if key != name} for name in MARKER),
        *({**MARKER, "epochs": value} for value in (None, "3", 3.0, -1, True, [3])),
        *({**MARKER, "seconds": value} for value in (None, "1", -1.0, NAN, INF, True)),
        *({**MARKER, "best_valid_score": value} for value in (None, "0.5", [], True)),
        *({**MARKER, "valid_scores": value} for value in (None, {}, [1], [[0]], [["0", 1.0]], [[3, 1.0]], [[0, "x"]])),
        *({**MARKER, "valid_scores": value} for value in ([[1, 0.5], [0, 0.4]], [[0, 0.5], [0, 0.4]], [[-1, 0.5]])),
        *({**MARKER, "progress": value} for value in (None, [], {"a": 1}, {"a": [[0, None]]}, {"a": [[9, 1.0]]})),
    ],
)
def test_another_content_is_none(wrong, tmp_path):
    assert not is_done_marker(wrong)
    (tmp_path / "x.pth").write_bytes(b"")
    (tmp_path / "x.pth.json").write_text(json.dumps(wrong))
    assert read_done_marker(tmp_path / "x.pth") is None


def test_a_number_that_was_changed_is_noticed(tmp_path):
    (tmp_path / "x.pth").write_bytes(b"")
    write_record(tmp_path / "x.pth.json", MARKER)
    assert read_done_marker(tmp_path / "x.pth") == MARKER
    text = (tmp_path / "x.pth.json").read_text()
    for old, new in (("0.5", "0.6"), ('"epochs": 3', '"epochs": 4'), ("1.0", "2.0")):
        assert is_done_marker(json.loads(text.replace(old, new)))  # of the right types, and in range
        (tmp_path / "x.pth.json").write_text(text.replace(old, new))
        assert read_done_marker(tmp_path / "x.pth") is None
    (tmp_path / "x.pth.json").write_text(json.dumps(MARKER))  # as earlier versions wrote it
    assert read_done_marker(tmp_path / "x.pth") == MARKER


def test_no_content_ends_in_an_error(tmp_path):
    (tmp_path / "x.pth").write_bytes(b"")
    for content in (b"", b"\xff\xfe", b"\x00", b"[" * 5000, b'{"a":' * 5000, b"NaN", b"1e999"):
        (tmp_path / "x.pth.json").write_bytes(content)
        assert read_done_marker(tmp_path / "x.pth") is None
    (tmp_path / "x.pth.json").unlink()
    (tmp_path / "x.pth.json").mkdir()
    assert read_done_marker(tmp_path / "x.pth") is None
