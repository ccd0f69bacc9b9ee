"""The keys that name the teachers: their notation, and what is refused."""

import pytest

from recbole_kd.config.teacher_entries import entries_to_keys
from recbole_kd.errors import KDError
from tests.config.helpers import layers, made, yaml_file


@pytest.mark.parametrize(
    "text",
    [
        "[{model: BPR, learning_rate: 1e-3}, {scores: a.tsv}]",
        "[{'model': 'BPR', 'learning_rate': 1e-3}, {'scores': 'a.tsv'}]",
    ],
)
def test_teachers_on_the_command_line_are_written_as_in_a_file(text, tmp_path):
    found = layers(f"--teachers={text}").teachers
    assert found == layers(config_file_list=[yaml_file(tmp_path, f"teachers: {text}")]).teachers
    assert [entry.name for entry in found] == ["BPR learning_rate=0.001", "a.tsv"]


@pytest.mark.parametrize("text", ["[{model: BPR", "__import__('os').system('touch canary')", "!!python/name:os.system"])
def test_teachers_on_the_command_line_are_never_evaluated(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KDError, match=r"teachers=.*list"):
        layers(f"--teachers={text}")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"teacher_model": "EASE"},
        {"teacher_path": "a.pth"},
        {"teacher_model": ["BPR", "EASE"]},
        {"teacher_path": ["a.pth", "b.pth"]},
        {"teachers": [{"model": "BPR", "embedding_size": 5}, {"scores": "a.tsv"}]},
        {"teachers": [{"factors": "v.npz"}]},
        {"teachers": [{"scores": "a.tsv", "factors": "v.npz"}]},
        {"teachers": [{"path": "a.pth", "states": ["b.pth"]}]},
        {"teachers": [{"model": "BPR", "weight_decay": 0.0}, {"model": "LightGCN", "require_pow": False}]},
    ],
)
def test_teachers_come_to_keys_that_come_to_them_again(keys):
    entries = layers(config_dict=keys).teachers
    assert entries_to_keys(entries) == keys
    assert layers(config_dict=entries_to_keys(entries)).teachers == entries


@pytest.mark.parametrize("value", [5, True, ["a.pth"]])
def test_a_teacher_path_that_is_no_path_is_refused(value):
    with pytest.raises(KDError, match=r"teacher_path|is not there"):
        made(config_dict={"teacher_path": value})


def test_a_teacher_path_that_is_a_folder_or_empty_says_so(tmp_path):
    for path, said in ((str(tmp_path), "is a folder, not a file"), ("", "the name of a checkpoint is empty")):
        with pytest.raises(KDError, match=said):
            made(f"--teacher_path={path}")
