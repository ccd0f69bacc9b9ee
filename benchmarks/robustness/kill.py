"""Kill a run at random moments, resume it, and compare its weights with those of a run that was never killed.

    python -m benchmarks.robustness.kill --times=5 --model=MKD --dataset=ml-100k --epochs=15

Every other key goes to run_kd.py.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.command import command_line, environment, keys_of
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.checkpoint.reader import read_checkpoint

ROOT = Path(__file__).resolve().parents[2]


def start(words: list[str], folder: Path, *more: str) -> subprocess.Popen:
    """A run of run_kd with a log on its standard error."""
    keys = [f"--checkpoint_dir={folder}", "--resume_interval=0", "--show_progress=False", "--verbose=True"]
    command = [sys.executable, str(ROOT / "run_kd.py"), *words, *keys, *more]
    return subprocess.Popen(command, cwd=folder.parent, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def weights(folder: Path) -> dict[str, dict]:
    """The weights in every checkpoint of a folder, by its path."""
    files = [*folder.glob("*.pth"), *folder.glob("*/*.pth")]
    return {str(file.relative_to(folder)): read_checkpoint(file)["state_dict"] for file in files}


def are_equal(one: dict, other: dict) -> bool:
    """Whether two folders' weights are the same to the bit."""
    return set(one) == set(other) and all(
        torch.equal(one[file][name], other[file][name]) for file in one for name in one[file]
    )


def kill_and_resume(words: list[str], folder: Path, line: int, draw: random.Random) -> str:
    """Run a command, kill it after a line of its log, and resume it. Returns what the log said last."""
    process = start(words, folder)
    log = [process.stderr.readline() for _ in range(line + 1)]
    time.sleep(draw.random() / 10)  # somewhere between this line and the next
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the run was over before it could be killed"
    resumed = start(words, folder, "--resume=True")
    assert resumed.communicate() and resumed.returncode == 0
    last = next((text for text in reversed(log) if "INFO" in text), "").split("INFO")[-1].strip()
    return last.replace(str(folder.parent), "…")[:120]


def measure(words: list[str], times: int, draw: random.Random) -> list[dict[str, Any]]:
    """For each kill where it came, and whether the resumed run ended in the weights of an undisturbed one."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        process = start(words, whole)
        lines = len(process.communicate()[1].splitlines())
        assert process.returncode == 0
        for number in range(times):
            cut = Path(folder) / f"cut{number}"
            # a random line of the log in each equal part of the run: the machine's speed does not move the moment
            line = int(lines * (number + draw.random()) / times)
            after = kill_and_resume(words, cut, line, draw)
            rows.append({"line": line, "of": lines, "after": after, "same": are_equal(weights(whole), weights(cut))})
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--draw", type=int, default=0, help="seed of the moments")
    parser.add_argument("--result_file")
    options, words = parser.parse_known_args()
    rows = measure(words, options.times, random.Random(options.draw))
    print(f"{sum(row['same'] for row in rows)} of {len(rows)} ended in the weights of the undisturbed run")
    if options.result_file:
        records = [
            make_record(f"kill {number}", None, row, {"after": row.pop("after")}) for number, row in enumerate(rows, 1)
        ]
        command = command_line("benchmarks.robustness.kill", [f"--times={options.times}", *words])
        content = make_result("kill", [command], {"keys": keys_of(words)}, records, environment())
        write_result(options.result_file, content)


if __name__ == "__main__":
    main()
