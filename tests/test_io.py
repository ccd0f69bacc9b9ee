"""Paths that cannot be written are refused before any work; records carry a hash of their content."""

import json

import pytest

from recbole_kd.errors import KDError, printable
from recbole_kd.io import atomic_write, check_output_file, check_writable_folder, read_record, write_record

BAD = {
    "a\0b": "control character",
    "a\nb": "control character",
    "a\x1b[31m": "control character",
    "a\udcffb": "not UTF-8",
    "n" * 250: "too long",
    "é" * 130: "too long",
    "/".join(["folder"] * 700): "too long",
    "file/x": "is not a folder",
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("path", BAD)
@pytest.mark.parametrize("check", [check_output_file, check_writable_folder])
def test_a_path_that_cannot_be_written_is_refused_with_its_key(check, path, here):
    with pytest.raises(KDError, match=f"^the_key.*{BAD[path]}") as caught:
        check("the_key", path)
    assert str(caught.value).isprintable()
    assert [file.name for file in here.iterdir()] == ["file"]


def test_a_file_where_the_folder_should_be_and_a_folder_where_the_file_should_be(here):
    with pytest.raises(KDError, match=r"'.*file' is not a folder"):
        check_writable_folder("the_key", "file")
    (here / "out.json.partial").mkdir()
    with pytest.raises(KDError, match=r"out\.json\.partial' is a folder"):
        check_output_file("the_key", "out.json")


def test_the_longest_name_that_is_taken_can_be_written(here):
    name = "n" * 247
    check_output_file("the_key", name)
    atomic_write(name, b"x")
    assert (here / name).read_bytes() == b"x"


def test_messages_show_no_control_characters_and_no_megabytes():
    assert printable("a\x1b[31m\0\udcff é") == "a\\x1b[31m\\x00\\udcff é"
    sentence = str(KDError(f"the entry {'x' * 10**6} is wrong: leave it out"))
    assert len(sentence) < 1600 and sentence.startswith("the entry x") and sentence.endswith("leave it out")


RECORD = {"score": 0.1 + 0.2, "b": {10: -float("inf"), 9: (1, None)}, "a": "é\0"}
# the SHA-256 of {"a": "\u00e9\u0000", "b": {"10": -Infinity, "9": [1, null]}, "score": 0.30000000000000004}
RECORD_DIGEST = "73dd3b0d7eccead0eee90b2682e2fc08680e2c6104c32be38a26f402ace47f5a"


def test_a_record_is_read_as_it_was_written(here):
    write_record("x.json", RECORD)
    assert json.loads((here / "x.json").read_text())["sha256"] == RECORD_DIGEST
    expected = {"score": 0.30000000000000004, "b": {"10": -float("inf"), "9": [1, None]}, "a": "é\0"}
    assert read_record("x.json") == expected
    (here / "x.json").write_text(json.dumps(expected))  # as earlier versions wrote it
    assert read_record("x.json") == expected


@pytest.mark.parametrize("digest", [RECORD_DIGEST, "", None, 3, [RECORD_DIGEST]])
def test_a_record_with_another_content_or_hash_is_damaged(digest, here):
    (here / "x.json").write_text(json.dumps({**RECORD, "score": 0.3, "sha256": digest}))
    assert read_record("x.json") is None
    (here / "x.json").write_text(json.dumps({**RECORD, "new": 1, "sha256": digest}))
    assert read_record("x.json") is None


def test_what_is_no_record_is_none(here):
    for content in ("", "[]", "3", '{"a": 1', '{"sha256": ""}', f'{{"sha256": "", "a": {"[" * 900 + "]" * 900}}}'):
        (here / "x.json").write_text(content)
        assert read_record("x.json") is None
    assert read_record("missing.json") is None
