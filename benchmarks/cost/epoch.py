"""What a training epoch of each method costs beside plain RecBole's of the same student: time as a ratio, and memory.

    python benchmarks/cost.py --methods="MKD;RRD" --dataset=citeulike --data_path=data \
        --result_file=benchmarks/results/cost-citeulike.json

Epochs are taken in turn (plain, method, plain, …) in one process, without evaluation, and their sums held against one
another: of a method that reads lists anew every so many epochs, a whole number of such periods. Seconds are the
processor's, of one thread, set-up's too, and peak memory is of a process each; on a GPU it is the clock's seconds and
the device's memory.
The teacher is trained for one epoch: what an epoch costs does not depend on how good it is. A method may carry keys of
its own; ``--methods=all`` are all; ``--with`` takes in what an earlier result file of the same command has of other
methods. Run it from the project's root.
"""

import argparse
import gc
import json
import math
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import recbole_kd  # first: RecBole starts after it
from command import device_name, shareable
from stock import stock_model
import torch
from recbole.trainer import Trainer
from recbole_kd.config import plain_config
from recbole_kd.config.keys import keys_of
from recbole_kd.quick_start import make_config
from recbole_kd.teacher.measure import versions
from recbole_kd.register import method_class
from recbole_kd.teacher import parts
from recbole_kd.teacher.prepare import get_knowledge, get_teachers
from tabulate import tabulate


def seconds_now():
    """The processor's seconds of this process; on a GPU, the clock's, with nothing left to do."""
    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def config_of(method, rest):
    """The Config of one method with its own keys."""
    name, *keys = shlex.split(method)
    return make_config(argv=[f"--model={name}", *rest, *keys, "--show_progress=False", "--state=ERROR"])


def plain_trainer(config):
    """RecBole's own Trainer of the student, and a fresh split."""
    config, data = plain_config(config), parts.split(plain_config(config))
    return Trainer(config, stock_model(config, data.train._dataset)), data


def method_trainer(config):
    """The method's trainer, a fresh split, and the seconds that its knowledge and its parts took."""
    data = parts.split(plain_config(config))
    teachers = get_teachers(config, data)
    began = seconds_now()
    knowledge = get_knowledge(config, data, teachers)
    model = method_class(config.method)(config, data.train._dataset, knowledge)
    return recbole_kd.KDTrainer(config, model), data, seconds_now() - began


def whole_periods(config, pairs):
    """So many epochs or a few more, that those in which lists are read anew have their share."""
    period = max((config[key] for key in keys_of(config.method) if key.endswith("_refresh")), default=1)
    return math.ceil(pairs / period) * period


def epochs(config, pairs):
    """Seconds of each epoch, the two kinds in turn; the first pair warms up and is not counted."""
    pairs = whole_periods(config, pairs)
    (plain, plain_data), (method, data, took) = plain_trainer(config), method_trainer(config)
    seconds: dict[str, list[float]] = {"plain": [], "method": []}
    for epoch in range(pairs + 1):
        for kind, trainer, loader in (("plain", plain, plain_data.train), ("method", method, data.train)):
            began = seconds_now()
            trainer._train_epoch(loader, epoch)
            if epoch:
                seconds[kind].append(seconds_now() - began)
    ratios = [method / plain for plain, method in zip(seconds["plain"], seconds["method"], strict=True)]
    return {
        "plain_seconds": statistics.fmean(seconds["plain"]), "seconds": statistics.fmean(seconds["method"]),
        "ratio": sum(seconds["method"]) / sum(seconds["plain"]), "spread": [min(ratios), max(ratios)],
        "pairs": pairs, "setup_seconds": took,
    }  # fmt: skip


def peak(config, kind):
    """Peak memory of this process after two epochs and an evaluation of one kind, MiB."""
    trainer, data, *_ = plain_trainer(config) if kind == "plain" else method_trainer(config)
    for epoch in range(2):
        trainer._train_epoch(data.train, epoch)
    trainer.evaluate(data.valid, load_best_model=False)
    # not ru_maxrss, which a process inherits from the one that started it
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def peak_on_device(config, kind):
    """The most that two epochs and an evaluation of one kind hold of a GPU, MiB, beside what was there before."""
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    peak(config, kind)
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def peak_elsewhere(method, rest, kind):
    """The peak in a process of its own; on a GPU its memory, in this one."""
    if torch.cuda.is_available():
        return peak_on_device(config_of(method, rest), kind)
    command = [sys.executable, __file__, f"--methods={method}", "--peak", kind, *rest]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="all", help="separated by ;")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--with", dest="earlier")
    parser.add_argument("--result_file")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    own, rest = parser.parse_known_args()
    methods = [method.strip() for method in own.methods.split(";") if method.strip()]
    if methods == ["all"]:
        methods = [name for name in recbole_kd.method_names() if name != "Distiller"]
    torch.set_num_threads(1)
    device = device_name()
    if own.peak:
        print(peak(config_of(methods[0], rest), own.peak))
        return
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        kept = [*rest, f"--checkpoint_dir={folder}", "--teacher.epochs=1"]
        for method in methods:
            config = config_of(method, kept)
            get_teachers(config, parts.split(plain_config(config)))  # trained once, for the processes too
            if not found:
                plain = peak_elsewhere(method, kept, "plain")
            found[method] = epochs(config, own.pairs)
            found[method]["extra_rss_mib"] = peak_elsewhere(method, kept, "method") - plain
            row = found[method]
            print(f"{method}: {row['ratio']:.1f} times, {row['extra_rss_mib']:+.0f} MiB", flush=True)
    if own.earlier:
        before = json.loads(Path(own.earlier).read_text())
        there, here = [before["command"], before.get("device", "cpu")], [shareable(rest), device]
        if there != here:
            raise SystemExit(f"{own.earlier} was measured under {there}, this is {here}")
        found = {**before["methods"], **found}
    content = {
        "command": shareable(rest),
        "cores": os.cpu_count(),
        "device": device,
        "plain": {"seconds": statistics.median(row["plain_seconds"] for row in found.values()), "rss_mib": plain},
        "methods": found,
        "versions": versions(),
    }
    heads = ["method", "epoch / plain", "from", "to", "MiB over plain", "set-up, seconds"]
    lines = [
        [name, *(f"{x:.1f}" for x in (row["ratio"], *row["spread"])), f"{row['extra_rss_mib']:+.0f}",
         f"{row['setup_seconds']:.1f}"]
        for name, row in found.items()
    ]  # fmt: skip
    print(tabulate(lines, heads, disable_numparse=True))
    if own.result_file:
        Path(own.result_file).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
