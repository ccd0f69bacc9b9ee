"""Whole runs in several processes: killed, resumed, and started by torchrun."""

import multiprocessing
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import filelock
import psutil

from recbole_kd.checkpoint.reader import read_checkpoint
from recbole_kd.cli import main
from recbole_kd.distributed.launcher import _free_port, launch_processes
from recbole_kd.distributed.process_group import (
    ProcessInfo,
)
from recbole_kd.knowledge import base as knowledge_base
from recbole_kd.quick_start import _run_rank
from recbole_kd.teacher import provider
from recbole_kd.testing import same_weights

REPO = Path(__file__).resolve().parents[2]


def pair():
    """The positions of two processes on this machine."""
    address = f"tcp://localhost:{_free_port()}"
    return [ProcessInfo(rank, 2, rank, 2, address) for rank in (0, 1)]


def last(text):
    return text.splitlines()[-1]


def argv_of(settings, folder, *more):
    flat = {key: value for key, value in settings.items() if key not in ("teacher", "checkpoint_dir")}
    flat |= {"model": "SLD", "checkpoint_dir": folder, "teacher.embedding_size": 12, "baseline": False}
    flat |= {"stopping_step": 10000, "sld_refresh": 1}
    return [*(f"--{key}={value}" for key, value in flat.items()), *more]


def one_after_the_other(process, argvs, second_address):
    """Two runs in the same pair of processes; rank 0 alone trains teachers and stores knowledge."""
    write = knowledge_base.write_arrays
    if process.rank > 0:
        provider.train = knowledge_base.write_arrays = None
    else:  # long enough for rank 1 to look for it
        knowledge_base.write_arrays = lambda *args: (time.sleep(3), write(*args))
    layouts = (process, replace(process, init_method=second_address))
    return [_run_rank(layout, (None, None, None, None, argv)) for layout, argv in zip(layouts, argvs, strict=True)]


def distilled(folder):
    return next(folder.glob("BPR-toy-SLD-*.pth"))


def test_a_killed_run_ends_in_one_sentence_and_resumes_to_the_same_bits(settings, workdir, capfd):
    settings |= {"state": "INFO", "epochs": 30, "nproc": 2}

    def kill():
        while not list((workdir / "cut").glob("BPR-toy-SLD-*.pth")):
            time.sleep(0.02)
        victim = max(multiprocessing.active_children(), key=lambda process: process.pid)
        victim.kill()

    threading.Thread(target=kill, daemon=True).start()
    began = time.monotonic()
    assert main(argv_of(settings, workdir / "cut")) == 1
    assert time.monotonic() - began < 60 and not multiprocessing.active_children()
    out, err = capfd.readouterr()
    assert last(err).startswith("recbole_kd: process 1 of 2 was killed (SIGKILL")
    assert "Traceback" not in out + err
    assert not list((workdir / "cut").glob("BPR-*.json")) and len(list((workdir / "cut").glob("BPR-*.resume"))) == 1
    read_checkpoint(distilled(workdir / "cut"))  # raises where it is damaged

    # one log, and TensorBoard's files of one process
    assert len(list((workdir / "log" / "BPR").iterdir())) == 1
    assert len({file.name.split(".")[-2] for file in (workdir / "log_tensorboard").rglob("events*")}) == 1

    argvs = [argv_of(settings, workdir / "cut", "--resume=True"), argv_of(settings, workdir / "whole")]
    results = launch_processes(one_after_the_other, pair(), (argvs, pair()[0].init_method))
    assert "resuming at epoch" in capfd.readouterr().err
    assert [result["config"]["nproc"] for result in results] == [2, 2]
    assert results[0]["distilled"]["test_result"] == results[1]["distilled"]["test_result"]
    cut, full = (read_checkpoint(distilled(workdir / name)) for name in ("cut", "whole"))
    assert same_weights(cut["state_dict"], full["state_dict"])
    assert distilled(workdir / "cut").name == distilled(workdir / "whole").name
    assert not list(workdir.rglob("*.resume")) and not list(workdir.rglob("*.partial"))
    assert len(list((workdir / "whole").glob("BPR-*"))) == 2  # the student and its marker


def test_the_processes_end_with_the_one_that_started_them(settings, workdir):
    settings |= {"epochs": 5000, "nproc": 2}
    run = subprocess.Popen(
        [sys.executable, str(REPO / "run_kd.py"), *argv_of(settings, workdir / "saved")],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as a shell's background jobs have it
    )
    while not list((workdir / "saved").glob("**/BPR-*.resume")):
        assert run.poll() is None
        time.sleep(0.05)
    children = psutil.Process(run.pid).children()
    run.kill()
    run.wait()
    assert len(children) > 1
    _, left = psutil.wait_procs(children, timeout=10)
    assert not left
    with filelock.FileLock(workdir / "saved" / ".recbole_kd.lock", timeout=0):
        pass


def test_torchrun_starts_a_run(settings, workdir):
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", str(REPO / "run_kd.py")]
    ended = subprocess.run([*run, *argv_of(settings, workdir / "saved")], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("distilled (SLD)") == 1
    assert len(list((workdir / "saved").glob("BPR-*.pth"))) == 1
