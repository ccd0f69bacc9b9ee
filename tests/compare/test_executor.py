"""Worker processes: they end with the comparison, which continues when it is repeated."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from recbole_kd.compare.scheduler import compare
from tests.compare.helpers import untimed

REPO = Path(__file__).resolve().parents[2]


def test_killed_half_way_with_two_processes_and_repeated_it_is_the_same(done, content, workdir):
    plan = {**content, "processes": 2, "folder": "killed"}
    Path("plan.yaml").write_text(json.dumps(plan))  # JSON is YAML
    words = [sys.executable, "-m", "recbole_kd", "compare", "plan.yaml"]
    with open("output.txt", "w") as output:
        process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(REPO)}, stdout=output, stderr=output)
    limit = time.monotonic() + 60
    while len(list(Path("killed").glob("runs/*/*/*.json"))) < 2 and time.monotonic() < limit and process.poll() is None:
        time.sleep(0.005)
    workers = children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    gone = time.monotonic() + 10
    while any(alive(worker) for worker in workers) and time.monotonic() < gone:
        time.sleep(0.02)
    assert len(workers) >= 2 and not any(alive(worker) for worker in workers), "no process outlives the first one"
    finished = {file: file.stat().st_mtime_ns for file in Path("killed").glob("runs/*/*/*.json")}
    assert 2 <= len(finished) < 8, Path("output.txt").read_text()
    summary = compare("plan.yaml")
    assert untimed(summary) == untimed(done[1])
    assert {file: file.stat().st_mtime_ns for file in finished} == finished


def children(pid):
    """The processes that a process has started (Linux)."""
    return [int(word) for file in Path(f"/proc/{pid}/task").glob("*/children") for word in file.read_text().split()]


def alive(pid):
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
