"""The warning of an accepted teacher travels in the checkpoints of its students, through any number of generations."""

import json
import shutil

import pytest
import torch

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.config.configurator import plain_config
from recbole_kd.errors import KDError
from recbole_kd.experiment import Experiment, make_config
from recbole_kd.io import torch_bytes
from recbole_kd.quick_start import run_kd
from recbole_kd.teacher.leak_warnings import leak_entry, read_warnings, warnings_to_record
from recbole_kd.trainer import training


@pytest.fixture
def keys(settings):
    return {**settings, "epochs": 1, "baseline": False, "teacher": {}}


@pytest.fixture
def other_seed(keys, workdir):
    """A teacher of plain RecBole on the split of seed 1."""
    file = workdir / "seed1.pth"
    config = make_config("KD", config_dict={**keys, "seed": 1})
    training.train(plain_config(config.teachers[0].config), file)
    return str(file)


def distil(keys, **more):
    """The file of a student by KD on the split of seed 2, and the result of its run."""
    result = run_kd("KD", config_dict={**keys, "seed": 2, **more})
    return result["distilled"]["checkpoint"], result


def entries(file):
    return set(read_checkpoint(file))


def test_the_warning_travels_through_three_generations_and_refuses_each(keys, other_seed):
    with pytest.raises(KDError, match=r"was trained on .* of this run's .* test pairs"):
        distil(keys, teacher_path=other_seed)
    file, result = distil(keys, teacher_path=other_seed, teacher_check="warn")
    first = result["teacher"]["warning"]
    for generation in range(3):
        assert read_checkpoint(file)["leak_warning"] == [first]  # the same sentence, however late
        with pytest.raises(KDError) as caught:
            distil(keys, teacher_path=file)
        assert f"was distilled from a teacher that was accepted with a warning: {first}" in str(caught.value)
        assert "teacher_check=warn accepts it anyway" in str(caught.value)
        copy = file.replace(".pth", f"-{generation}.pth")
        shutil.copy(file, copy)
        file, result = distil(keys, teacher_path=copy, teacher_check="warn", kd_weight=0.1 * (generation + 1))
        assert first in result["teacher"]["warning"] and copy in result["teacher"]["warning"]


def test_a_run_without_a_warning_leaves_no_entry_and_keeps_its_name(keys, other_seed):
    file, result = distil(keys)
    assert "leak_warning" not in entries(file) and "warning" not in result["teacher"]
    accepted, _ = distil(keys, teacher_path=result["teacher"]["checkpoint"], teacher_check="warn")
    assert "leak_warning" not in entries(accepted)
    assert accepted == file  # the same teacher as a file: neither its path nor teacher_check is part of the name
    child, _ = distil(keys, teacher_path=file, kd_weight=0.1)
    assert "leak_warning" not in entries(child)


def test_resume_does_not_take_a_student_of_the_same_teacher_without_its_warning(keys, other_seed, workdir):
    clean, _ = distil(keys)
    content = torch.load(clean, weights_only=False)
    (workdir / "marked.pth").write_bytes(torch_bytes({**content, "leak_warning": ["a cause"]}))
    (workdir / "plain.pth").write_bytes(torch_bytes(content))  # the same weights
    plain, _ = distil(keys, teacher_path=str(workdir / "plain.pth"), resume=True)
    marked, _ = distil(keys, teacher_path=str(workdir / "marked.pth"), teacher_check="warn", resume=True)
    assert marked != plain and "leak_warning" not in entries(plain)
    assert read_checkpoint(marked)["leak_warning"] == ["a cause"]
    again, _ = distil(keys, teacher_path=str(workdir / "marked.pth"), teacher_check="warn", resume=True)
    assert again == marked and read_checkpoint(again)["leak_warning"] == ["a cause"]


def test_a_training_that_is_resumed_halfway_keeps_the_warning(keys, other_seed):
    config = make_config("KD", config_dict={**keys, "epochs": 3, "seed": 2, "teacher_path": other_seed})
    config["teacher_check"] = "warn"

    def stop(epoch, score, in_last_phase):
        raise training.TrainingStopped

    with Experiment.open(config) as experiment:
        file = f"{config['checkpoint_dir']}/resumed.pth"
        with pytest.raises(training.TrainingStopped):
            experiment.train_side("method", file, stop)
        config["resume"] = True
        experiment.train_side("method", file)
    assert read_checkpoint(file)["leak_warning"] == [experiment.teachers[0].warning]


def test_a_trained_teacher_in_the_cache_that_carries_a_warning_is_refused(keys):
    _, result = distil(keys)
    cached = result["teacher"]["checkpoint"]
    content = torch.load(cached, weights_only=False)
    with open(cached, "wb") as stream:
        stream.write(torch_bytes({**content, "leak_warning": ["a cause"]}))
    with pytest.raises(KDError, match=r"accepted with a warning: a cause; teacher_check=warn"):
        distil(keys)
    file, result = distil(keys, teacher_check="warn")
    assert "a cause" in result["teacher"]["warning"] and read_checkpoint(file)["leak_warning"] == ["a cause"]


def test_the_student_of_a_file_of_scores_carries_its_warning(keys, workdir):
    config = make_config("KD", config_dict={**keys, "seed": 2})
    users, items = Experiment(config).split.tokens
    rows = [f"{user}\t{item}\t{rank}" for user in users[1:] for rank, item in enumerate(items[1:])]
    (workdir / "scores.tsv").write_text("\n".join(["user_id\titem_id\tscore", *rows]) + "\n")
    given = {"teachers": [{"scores": str(workdir / "scores.tsv")}], "teacher_check": "warn"}
    del keys["teacher"]
    file = run_kd("RRD", config_dict={**keys, "seed": 2, **given})["distilled"]["checkpoint"]
    assert "does not say what it was trained on" in read_checkpoint(file)["leak_warning"][0]
    with pytest.raises(KDError, match="does not say what it was trained on"):
        distil(keys, teacher_path=file)


@pytest.mark.parametrize("odd", [5, "text", {"a": 1}, [1], [None], b"x", torch.arange(2)], ids=str)
def test_an_entry_of_another_form_counts_as_a_warning(odd):
    assert read_warnings({"leak_warning": odd}) == ("its entry leak_warning cannot be read",)


def test_what_is_read_is_printable_and_short_and_said_once():
    noisy = {"leak_warning": ["a\x1b[31m\nb", "x" * 10**6, "a\x1b[31m\nb", *map(str, range(100))]}
    sentences = read_warnings(noisy, noisy)
    assert sentences[0] == "a [31m b" and all(sentence.isprintable() for sentence in sentences)
    assert max(map(len, sentences)) == 500 and len(sentences) == 7
    assert read_warnings({}, {"leak_warning": None}) == () and read_warnings({"leak_warning": []}) == ()


def test_the_first_causes_are_recorded_and_nothing_without_a_warning():
    assert warnings_to_record(None, {"leak_warning": ["a"]}) == ()
    assert warnings_to_record("w", {}) == ("w",) and warnings_to_record("w", {"leak_warning": ["a"]}) == ("a",)
    assert leak_entry([]) == {} and json.dumps(leak_entry([])) == "{}"
