"""Killed at any moment, a run can be resumed and ends in the same weights, bit for bit."""

import io
import json
import os
import pkgutil
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.cli import main
from recbole_kd.errors import KDError
from recbole_kd.io import atomic_write
from recbole_kd.quick_start import run_kd
from recbole_kd.testing import ConformanceRun, same_weights
from recbole_kd.testing.isolation import working_directory
from recbole_kd.trainer.kd_trainer import KDTrainer
from recbole_kd.trainer.options import TrainingFiles
from recbole_kd.trainer.resumable import ResumableTrainer
from recbole_kd.trainer.resume_state import counted_attributes, restore_attributes
from recbole_kd.trainer.training import read_done_marker
from tests.processes import run_process

RUN = [sys.executable, str(Path(__file__).resolve().parents[2] / "run_kd.py")]


def command(settings, folder, *more):
    keys = ["epochs", "train_batch_size", "learning_rate", "embedding_size", "data_path", "show_progress", "dataset"]
    argv = ["--model=MKD", f"--checkpoint_dir={folder}", "--teacher.embedding_size=12", "--resume_interval=0"]
    return [*argv, *(f"--{key}={settings[key]}" for key in keys), *more]


def final(folder):
    files = [*folder.glob("BPR-*.pth"), *folder.glob("*/BPR-*.pth")]
    return {file.relative_to(folder): read_checkpoint(file)["state_dict"] for file in files}


def same(one, other):
    return set(one) == set(other) and all(same_weights(one[file], other[file]) for file in one)


STAGES = {
    "teacher training": ("recbole_kd.trainer.resumable.ResumableTrainer._start_epoch", 2),
    "knowledge": ("recbole_kd.knowledge.store.np.save", 2),
    "distilling": ("recbole_kd.method.distiller.Distiller.calculate_loss", 13),
    "saving": ("recbole_kd.io.os.replace", 9),
    "saving, half a file": ("recbole_kd.io.os.fsync", 12),
}


def run_until(target, calls, argv):
    """The command line in a process that kills itself at a call of a function."""
    module, _, name = target.rpartition(".")
    owner, left = pkgutil.resolve_name(module), calls
    stock = getattr(owner, name)

    def dying(*args, **kwargs):
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return stock(*args, **kwargs)

    setattr(owner, name, dying)
    return main(argv)


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    """The weights of a run of four epochs that nothing has interrupted."""
    with working_directory(tmp_path_factory.mktemp("whole")) as folder:
        assert main(command({**small(folder), "epochs": 4}, folder / "whole")) == 0
        return final(folder / "whole")


@pytest.mark.parametrize("stage", STAGES)
def test_killed_within_a_stage(stage, settings, workdir, whole):
    argv = command({**settings, "epochs": 4}, workdir / "cut")
    code, errors = run_process(run_until, *STAGES[stage], argv, folder=workdir)
    assert code == -signal.SIGKILL, errors
    assert main([*argv, "--resume=True"]) == 0
    assert same(final(workdir / "cut"), whole)
    assert not list((workdir / "cut").rglob("*.resume")) and not list((workdir / "cut").glob("*.partial"))


def test_ctrl_c_ends_cleanly_and_can_be_resumed(settings, workdir):
    settings["epochs"] = 400
    argv = command(settings, workdir / "cut", "--stopping_step=400")
    process = subprocess.Popen(
        [*RUN, *argv],
        cwd=workdir,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    while not list((workdir / "cut").glob("teacher/*.resume")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    last = message.splitlines()[-1]
    assert last.startswith("recbole_kd: interrupted") and "same command with --resume=True" in last
    assert "Traceback" not in message


def test_a_finished_student_is_not_distilled_again_under_resume(settings, workdir, monkeypatch):
    argv = command(settings, workdir / "saved", "--resume=True", f"--result_file={workdir / 'r.json'}")
    assert main(argv) == 0
    first = json.loads((workdir / "r.json").read_text())
    monkeypatch.setattr("recbole_kd.experiment.Experiment._distil_to", None)
    assert main(argv) == 0
    assert json.loads((workdir / "r.json").read_text())["distilled"]["test_result"] == first["distilled"]["test_result"]


def run_on_a_full_disk(argv):
    """The command line in a process that writes no file beyond 9000 bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
    return main(argv)


def test_a_full_disk_ends_in_one_sentence_with_the_old_file_intact(settings, workdir):
    assert main(command(settings, workdir / "saved")) == 0
    file = next((workdir / "saved").glob("BPR-*.pth"))
    before = file.read_bytes()
    argv = command(settings, workdir / "saved", "--state=CRITICAL")
    code, errors = run_process(run_on_a_full_disk, argv, folder=workdir)
    assert code == 1, errors
    assert [line for line in errors.splitlines() if line.startswith("recbole_kd: ")]
    assert "Traceback" not in errors
    assert file.read_bytes() == before
    assert not list((workdir / "saved").rglob("*.partial"))


def test_a_resume_point_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, ("touch canary",)

    torch.save({"epoch": Evil()}, tmp_path / "x.resume")
    trainer = object.__new__(ResumableTrainer)
    trainer.files = TrainingFiles(tmp_path / "x.pth", tmp_path / "x.resume")
    with pytest.raises(KDError, match="is damaged") as caught:
        trainer.resume()
    assert "weights_only" in str(caught.value.__cause__)


def test_lists_and_arrays_of_a_model_are_restored_with_their_types():
    def model(order, place):
        made = torch.nn.Module()
        made.order, made.place, made.names = np.array(order), place, ["x"]
        made.values = torch.tensor([float(place)])
        return made

    stored, fresh = counted_attributes(model([3, 1, 2], 2)), model([1, 2, 3], 0)
    buffer = io.BytesIO()
    torch.save(stored, buffer)
    buffer.seek(0)
    restore_attributes(vars(fresh), torch.load(buffer, weights_only=True)[""])
    assert isinstance(fresh.order, np.ndarray) and fresh.order.tolist() == [3, 1, 2]
    assert fresh.place == 2 and fresh.values.item() == 2.0


@pytest.mark.parametrize("junk", [b"", b"junk", b"PK\x03\x04junk", b"\x80\x02]q\x00."])
def test_a_damaged_resume_point_is_refused_in_one_sentence(junk, settings, workdir):
    bench = ConformanceRun("RRD", settings)
    trainer = KDTrainer(bench.config, bench.model(), TrainingFiles(workdir / "x.pth", workdir / "x.pth.resume"))
    (workdir / "x.pth.resume").write_bytes(junk)
    with pytest.raises(KDError, match=r"x\.pth\.resume' is damaged.*remove it"):
        trainer.resume()


def test_a_damaged_checkpoint_of_an_earlier_run_names_the_remedy(settings):
    done = run_kd("RRD", config_dict={**settings, "resume": True})
    for name in ("teacher", "student_alone", "distilled"):
        file = Path(done[name]["checkpoint"])
        content = file.read_bytes()
        file.write_bytes(content[:1000])
        with pytest.raises(KDError, match=rf"'{file}' is not a checkpoint .*; remove it, and the same command trains"):
            run_kd("RRD", config_dict={**settings, "resume": True})
        file.write_bytes(content)


def test_a_full_disk_is_named_with_the_file(monkeypatch, tmp_path):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*new/x\.json'"):
        atomic_write(tmp_path / "new" / "x.json", b"1")
    assert not list((tmp_path / "new").iterdir())


def test_a_damaged_mark_beside_a_checkpoint_counts_as_none(settings, workdir):
    bench = ConformanceRun("RRD", settings)
    mark = workdir / f"{bench.teacher.file}.json"
    mark.write_bytes(mark.read_bytes()[:7])
    assert read_done_marker(bench.teacher.file) is None
    assert read_done_marker(ConformanceRun("RRD", settings).teacher.file)["epochs"] == 2  # trained again


def test_a_resume_point_of_another_version_is_refused_in_one_sentence(settings, workdir):
    bench = ConformanceRun("MKD", settings)
    trainer = KDTrainer(bench.config, bench.model(), TrainingFiles(workdir / "x.pth", workdir / "x.pth.resume"))
    trainer._write_resume_point(1)
    assert trainer.resume() == 1
    state = torch.load(trainer.files.resume_point, weights_only=True)
    torch.save({key: value for key, value in state.items() if key != "other_optimizers"}, trainer.files.resume_point)
    assert trainer.resume() == 1  # as the first versions wrote it, for models of RecBole's plain Trainer
    one_group = torch.optim.Adam(trainer.model.parameters()).state_dict()
    no_counter = {key: value for key, value in state.items() if key != "counters"}
    for other in ({**state, "optimizer": one_group}, {**state, "model": {}}, no_counter):
        torch.save(other, trainer.files.resume_point)
        with pytest.raises(KDError, match=r"x\.pth\.resume' is damaged, or of another version.*remove it"):
            trainer.resume()
    torch.save({**state, "device": "cuda"}, trainer.files.resume_point)
    with pytest.raises(
        KDError, match=r"x\.pth\.resume' was written on a cuda device, and this run is on cpu: resume it there"
    ):
        trainer.resume()
