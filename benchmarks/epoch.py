"""What a training epoch of a method costs beside plain RecBole's of the same student: time as a ratio, and memory.

    python benchmarks/epoch.py --model=MKD --dataset=citeulike --data_path=data --result_file=benchmarks/results/x.json

Epochs are taken in turn (plain, method, plain, …) in one process; peak memory is of one process each. The teacher is
trained for one epoch: what an epoch costs does not depend on how good it is. Run it from the project's root.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import recbole_kd  # first: RecBole starts after it
from recbole.trainer import Trainer
from recbole_kd.config import plain_config
from recbole_kd.quick_start import make_config, versions
from recbole_kd.register import method_class
from recbole_kd.teacher import fit
from recbole_kd.teacher.prepare import get_knowledge, get_teacher


def trainers(config, kinds):
    """Trainer and fresh loaders of ``plain`` and of ``method``, and the seconds that knowledge took."""
    made, took = {}, 0.0
    for kind in kinds:
        data = fit.split(plain_config(config))
        if kind == "plain":
            model = fit.build(plain_config(config), data.train._dataset)
            made[kind] = Trainer(plain_config(config), model), data
        else:
            teacher = get_teacher(config, data)
            knowledge = get_knowledge(config, data, teacher)
            began = time.perf_counter()
            model = method_class(config.method)(config, data.train._dataset, knowledge)
            took = time.perf_counter() - began
            made[kind] = recbole_kd.KDTrainer(config, model), data
    return made, took


def epochs(config, pairs):
    """Seconds of each epoch, the two kinds in turn; the first pair warms up and is not counted."""
    made, took = trainers(config, ("plain", "method"))
    seconds = {kind: [] for kind in made}
    for epoch in range(pairs + 1):
        for kind, (trainer, data) in made.items():
            began = time.perf_counter()
            trainer._train_epoch(data.train, epoch)
            if epoch:
                seconds[kind].append(time.perf_counter() - began)
    ratios = [method / plain for plain, method in zip(seconds["plain"], seconds["method"], strict=True)]
    return {
        "plain_seconds": statistics.median(seconds["plain"]),
        "method_seconds": statistics.median(seconds["method"]),
        "ratio": statistics.median(ratios),
        "spread": [min(ratios), max(ratios)],
        "setup_seconds": took,
    }


def peak(config, kind):
    """Peak memory of this process after two epochs and an evaluation of one kind, MiB."""
    made, _ = trainers(config, (kind,))
    trainer, data = made[kind]
    for epoch in range(2):
        trainer._train_epoch(data.train, epoch)
    trainer.evaluate(data.valid, load_best_model=False)
    # not ru_maxrss, which a process inherits from the one that started it
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--result_file")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    own, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        keys = ["--show_progress=False", "--teacher.epochs=1", "--state=ERROR"]
        if not any(word.startswith("--checkpoint_dir") for word in rest):
            keys.append(f"--checkpoint_dir={folder}")
        config = make_config(argv=[*rest, *keys])
        if own.peak:
            print(peak(config, own.peak))
            return
        get_teacher(config, fit.split(plain_config(config)))  # trained once, for the processes too
        found = epochs(config, own.pairs)
        for kind in ("plain", "method"):
            command = [sys.executable, __file__, "--peak", kind, *rest, f"--checkpoint_dir={config['checkpoint_dir']}"]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            found[f"{kind}_rss_mib"] = float(run.stdout.split()[-1])
    found = {
        "command": [w for w in rest if "data_path" not in w],
        "cores": os.cpu_count(),
        **found,
        "versions": versions(),
    }
    print(json.dumps(found, indent=1))
    if own.result_file:
        Path(own.result_file).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
