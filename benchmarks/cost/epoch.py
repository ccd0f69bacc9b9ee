"""What a training epoch of each method costs beside plain RecBole's of the same student: time as a ratio, and memory.

    python -m benchmarks.cost.epoch --methods="MKD;RRD" --dataset=citeulike --data_path=data \
        --result_file=benchmarks/cost/results/cost-citeulike.json

Epochs are taken in turn (plain, method, plain, …) in one process, without evaluation, and their sums are compared: of a
method that reads lists anew every so many epochs, a whole number of such periods. Seconds are the processor's, of one
thread, those of the set-up too, and peak memory is of a process each; on a GPU it is the clock's seconds and the
device's memory. The teacher is trained for one epoch: what an epoch costs does not depend on how good it is. A method
may carry keys of its own; ``--methods=all`` are all; ``--with`` takes in the other methods of an earlier result file of
the same command.
"""

import argparse
import gc
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
from typing import Any

import torch
from recbole.trainer import Trainer
from tabulate import tabulate

from benchmarks.command import command_line, device_name, environment, keys_of, shareable
from benchmarks.cost.stock import stock_model
from benchmarks.result import read_result
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.config.configurator import Config
from recbole_kd.config.configurator import plain_config
from recbole_kd.config.schema import method_keys
from recbole_kd.config.schema import method_names
from recbole_kd.data.split import prepare_split
from recbole_kd.experiment import make_config
from recbole_kd.knowledge.loader import load_knowledge
from recbole_kd.method.registry import method_class
from recbole_kd.teacher.provider import provide_teachers
from recbole_kd.trainer.kd_trainer import KDTrainer

ROOT = Path(__file__).resolve().parents[2]


def seconds_now() -> float:
    """The processor's seconds of this process; on a GPU, the clock's, with nothing left to do."""
    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def config_of(method: str, words: list[str]) -> Config:
    """The Config of one method with its own keys behind its name."""
    name, *keys = shlex.split(method)
    return make_config(argv=[f"--model={name}", *words, *keys, "--show_progress=False", "--state=ERROR"])


def plain_trainer(config: Config) -> tuple:
    """RecBole's own Trainer of the student, and a fresh split."""
    config, data = plain_config(config), prepare_split(plain_config(config))
    return Trainer(config, stock_model(config, data.train._dataset)), data


def method_trainer(config: Config) -> tuple:
    """The method's trainer, a fresh split, and the seconds that its knowledge and its terms took to set up."""
    data = prepare_split(plain_config(config))
    teachers = provide_teachers(config, data)
    began = seconds_now()
    knowledge = load_knowledge(config, data, teachers)
    model = method_class(config.method)(config, data.train._dataset, knowledge)
    return KDTrainer(config, model), data, seconds_now() - began


def whole_periods(config: Config, pairs: int) -> int:
    """So many epochs or a few more, so that those in which lists are read anew have their share."""
    period = max((config[key] for key in method_keys(config.method) if key.endswith("_refresh")), default=1)
    return math.ceil(pairs / period) * period


def measure_epochs(config: Config, pairs: int) -> dict[str, Any]:
    """Seconds of an epoch, the two kinds in turn; the first pair warms up and is not counted."""
    pairs = whole_periods(config, pairs)
    (plain, plain_data), (method, data, setup) = plain_trainer(config), method_trainer(config)
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
        "ratio": sum(seconds["method"]) / sum(seconds["plain"]), "ratio_low": min(ratios), "ratio_high": max(ratios),
        "pairs": pairs, "setup_seconds": setup,
    }  # fmt: skip


def peak_of_process(config: Config, kind: str) -> float:
    """Peak memory of this process after two epochs and an evaluation of one kind, MiB."""
    trainer, data, *_ = plain_trainer(config) if kind == "plain" else method_trainer(config)
    for epoch in range(2):
        trainer._train_epoch(data.train, epoch)
    trainer.evaluate(data.valid, load_best_model=False)
    # not ru_maxrss, which a process inherits from the one that started it
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def peak_of_device(config: Config, kind: str) -> float:
    """The most GPU memory that two epochs and an evaluation of one kind take, MiB, beside what was taken before."""
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    peak_of_process(config, kind)
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def peak_memory(method: str, words: list[str], kind: str) -> float:
    """The peak of a process of its own; on a GPU that of the device, in this process."""
    if torch.cuda.is_available():
        return peak_of_device(config_of(method, words), kind)
    command = [sys.executable, "-m", "benchmarks.cost.epoch", f"--methods={method}", "--peak", kind, *words]
    place = {**os.environ, "PYTHONPATH": str(ROOT)}  # the benchmarks are found from any directory
    return float(subprocess.run(command, capture_output=True, text=True, check=True, env=place).stdout.split()[-1])


def measure(methods: list[str], words: list[str], pairs: int) -> tuple[dict[str, dict], float]:
    """What each method costs, by name, and the peak memory of plain training."""
    rows: dict[str, dict] = {}
    plain = 0.0
    with tempfile.TemporaryDirectory() as folder:
        fixed = [*words, f"--checkpoint_dir={folder}", "--teacher.epochs=1"]
        for method in methods:
            config = config_of(method, fixed)
            provide_teachers(config, prepare_split(plain_config(config)))  # trained once, for the processes too
            plain = plain or peak_memory(method, fixed, "plain")
            rows[method] = measure_epochs(config, pairs)
            rows[method]["extra_rss_mib"] = peak_memory(method, fixed, "method") - plain
            print(f"{method}: {rows[method]['ratio']:.1f} times, {rows[method]['extra_rss_mib']:+.0f} MiB", flush=True)
    return rows, plain


def earlier_rows(file: str, words: list[str]) -> dict[str, dict]:
    """The methods of an earlier result file. Refused where it is of another command or device."""
    earlier = read_result(file)
    before = [earlier.settings["keys"], earlier.environment["device"]]
    now = [keys_of(words), device_name()]
    if before != now:
        raise SystemExit(f"{file} was measured under {before}, this is {now}")
    return {record["name"]: record["values"] for record in earlier.records if record["name"] != "plain"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="all", help="separated by ;")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--with", dest="earlier")
    parser.add_argument("--result_file")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options, words = parser.parse_known_args()
    methods = [method.strip() for method in options.methods.split(";") if method.strip()]
    if methods == ["all"]:
        methods = [name for name in method_names() if name != "Distiller"]
    torch.set_num_threads(1)
    if options.peak:
        print(peak_of_process(config_of(methods[0], words), options.peak))
        return
    earlier = earlier_rows(options.earlier, words) if options.earlier else {}
    rows, plain = measure(methods, words, options.pairs)
    rows = {**earlier, **rows}
    headers = ["method", "epoch / plain", "from", "to", "MiB over plain", "set-up, seconds"]
    lines = [
        [name, *(f"{row[key]:.1f}" for key in ("ratio", "ratio_low", "ratio_high")), f"{row['extra_rss_mib']:+.0f}",
         f"{row['setup_seconds']:.1f}"]
        for name, row in rows.items()
    ]  # fmt: skip
    print(tabulate(lines, headers, disable_numparse=True))
    if options.result_file:
        median = statistics.median(row["plain_seconds"] for row in rows.values())
        records = [make_record("plain", None, {"seconds": median, "rss_mib": plain})]
        records += [make_record(name, None, row) for name, row in rows.items()]
        command = command_line("benchmarks.cost.epoch", [f"--methods={';'.join(rows)}", *shareable(words)])
        settings = {"keys": keys_of(words)}
        write_result(options.result_file, make_result("epoch_cost", [command], settings, records, environment()))


if __name__ == "__main__":
    main()
