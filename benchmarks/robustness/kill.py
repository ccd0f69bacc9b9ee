"""Kill a run at random moments, resume it, and compare its weights with those of a run that was never killed.

    python benchmarks/kill.py --times=5 --model=MKD --dataset=ml-100k --epochs=15

Every other key goes to run_kd.py. Run it from the project's root.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
import recbole_kd
import torch


def start(rest, folder, *more):
    keys = [f"--checkpoint_dir={folder}", "--resume_interval=0", "--show_progress=False", "--state=INFO"]
    command = [sys.executable, str(ROOT / "run_kd.py"), *rest, *keys, *more]
    return subprocess.Popen(command, cwd=folder.parent, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def weights(folder):
    files = [*folder.glob("*.pth"), *folder.glob("*/*.pth")]
    return {str(file.relative_to(folder)): recbole_kd.read_checkpoint(file)["state_dict"] for file in files}


def same(one, other):
    return set(one) == set(other) and all(
        torch.equal(one[file][name], other[file][name]) for file in one for name in one[file]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--draw", type=int, default=0, help="seed of the moments")
    parser.add_argument("--result_file")
    own, rest = parser.parse_known_args()
    draw, rows = random.Random(own.draw), []
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        process = start(rest, whole)
        lines = len(process.communicate()[1].splitlines())
        assert process.returncode == 0
        for number in range(own.times):
            cut = Path(folder) / f"cut{number}"
            # a random line of the log in each equal part of the run: the machine's speed does not move the moment
            moment = int(lines * (number + draw.random()) / own.times)
            process = start(rest, cut)
            said = [process.stderr.readline() for _ in range(moment + 1)]
            time.sleep(draw.random() / 10)  # somewhere between this line and the next
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert process.returncode == -signal.SIGKILL, "the run was over before it could be killed"
            resumed = start(rest, cut, "--resume=True")
            assert resumed.communicate() and resumed.returncode == 0
            last = next((line for line in reversed(said) if "INFO" in line), "").split("INFO")[-1].strip()
            stage = last.replace(folder, "…")[:120]
            rows.append({"line": moment, "of": lines, "after": stage, "same": same(weights(whole), weights(cut))})
            print(rows[-1], flush=True)
    equal = sum(row["same"] for row in rows)
    print(f"{equal} of {len(rows)} ended in the weights of the undisturbed run")
    if own.result_file:
        Path(own.result_file).write_text(json.dumps({"command": rest, "kills": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
