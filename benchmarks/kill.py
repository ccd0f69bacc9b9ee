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
        began = time.perf_counter()
        process = start(rest, whole)
        assert process.wait() == 0, process.stderr.read()
        length = time.perf_counter() - began
        for number in range(own.times):
            cut = Path(folder) / f"cut{number}"
            # one moment in each equal part of the run, after the imports
            moment = length * (0.15 + 0.8 * (number + draw.random()) / own.times)
            process = start(rest, cut)
            time.sleep(moment)
            process.send_signal(signal.SIGKILL)
            said = [line for line in process.communicate()[1].splitlines() if "INFO" in line]
            resumed = start(rest, cut, "--resume=True")
            assert resumed.wait() == 0, resumed.stderr.read()
            row = {"seconds": moment, "last line": said[-1].split("INFO")[-1].strip() if said else "", "same": False}
            row["same"] = same(weights(whole), weights(cut))
            rows.append(row)
            print(row, flush=True)
    equal = sum(row["same"] for row in rows)
    print(f"{equal} of {len(rows)} ended in the weights of the undisturbed run ({length:.0f} s)")
    if own.result_file:
        Path(own.result_file).write_text(
            json.dumps({"command": rest, "seconds": length, "kills": rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
