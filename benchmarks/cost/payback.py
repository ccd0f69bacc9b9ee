"""When distillation pays for itself: how long until the student is as good as plain training ever makes it.

    python -m benchmarks.cost.payback --methods="MKD;RRD;SLD;RCEKD" --dataset=citeulike --data_path=data --seeds=1,2,3 \
        --learning_rate=0.01 --alone="--learning_rate=0.001" \
        --result_file=benchmarks/cost/results/payback-citeulike.json

Plain training goes on until it is stopped early; its best validation ``--metric`` is the mark. A method's seconds run
from reading the teacher to the first epoch that reaches the mark; training the teacher is not counted.
Processor seconds of one thread, without evaluation. ``--alone`` holds keys for plain training alone, which may learn
best at another rate.
"""

import argparse
import math
import shlex
import statistics
import tempfile
import time
from typing import Any

import torch
from recbole.trainer import Trainer
from recbole.utils import early_stopping, init_seed
from tabulate import tabulate

from benchmarks.command import command_line, environment, keys_of
from benchmarks.cost.epoch import config_of
from benchmarks.cost.stock import stock_model
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.config.configurator import Config
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import Split
from recbole_kd.data.split import prepare_split
from recbole_kd.knowledge.loader import load_knowledge
from recbole_kd.method.registry import method_class
from recbole_kd.teacher.provider import provide_teachers
from recbole_kd.trainer.kd_trainer import KDTrainer


def curve(
    trainer: Trainer, data: Split, began: float, metric: str, mark: float | None = None, seconds: float = math.inf
) -> list:
    """(seconds, validation ``metric``) after each epoch: until so many ``seconds`` are over, or without them until
    ``mark`` is reached or RecBole would stop early, by its own valid_metric.
    """
    points, watched = [], 0.0
    for epoch in range(trainer.epochs):
        trainer._train_epoch(data.train, epoch)
        paused = time.process_time()
        score, metrics = trainer._valid_epoch(data.valid)
        watched += time.process_time() - paused
        points.append((time.process_time() - began - watched, float(metrics[metric])))
        trainer.best_valid_score, trainer.cur_step, stopped, _ = early_stopping(
            score, trainer.best_valid_score, trainer.cur_step, trainer.stopping_step, trainer.valid_metric_bigger
        )
        reached = mark is not None and points[-1][1] >= mark
        if points[-1][0] >= seconds or (seconds == math.inf and (stopped or reached)):
            break
    return points


def plain_curve(config: Config, metric: str) -> list:
    """The curve of RecBole's own Trainer."""
    config, data = plain_config(config), prepare_split(plain_config(config))
    trainer = Trainer(config, stock_model(config, data.train._dataset))
    return curve(trainer, data, time.process_time(), metric)


def distilled_curve(config: Config, metric: str, mark: float | None = None, seconds: float = math.inf) -> list:
    """The curve of a method, from reading its teacher on; nothing that was read before is reused."""
    data = prepare_split(plain_config(config))
    teachers = provide_teachers(config, data)
    with tempfile.TemporaryDirectory() as folder:
        config["checkpoint_dir"] = folder
        init_seed(config["seed"], config["reproducibility"])
        began = time.process_time()
        knowledge = load_knowledge(config, data, teachers)
        trainer = KDTrainer(config, method_class(config.method)(config, data.train._dataset, knowledge))
        return curve(trainer, data, began, metric, mark, seconds)


def plain_run(method: str, words: list[str], alone: list[str], metric: str) -> tuple[dict[str, Any], float]:
    """Plain training: its best score, when it was reached, the epochs; and the best score as the mark."""
    named = {word.split("=")[0] for word in alone}
    config = config_of(method.split()[0], [*(key for key in words if key.split("=")[0] not in named), *alone])
    points = plain_curve(config, metric)
    mark = max(score for _, score in points)
    seconds = next(seconds for seconds, score in points if score >= mark)
    return {"best": mark, "seconds": seconds, "epochs": len(points)}, mark


def method_run(method: str, words: list[str], metric: str, mark: float, plain_seconds: float) -> dict[str, Any]:
    """When a method reached the mark; nothing but null values where it did not."""
    points = distilled_curve(config_of(method, words), metric, mark)
    seconds, score = points[-1]
    if score < mark:
        return dict.fromkeys(("seconds", "epochs", "ratio"))
    return {"seconds": seconds, "epochs": len(points), "ratio": seconds / plain_seconds}


def summary_line(method: str, records: list[dict]) -> list:
    """A method's line of the printed table."""
    runs = [record["values"] for record in records if record["name"] == method]
    ratios = [run["ratio"] for run in runs if run["ratio"] is not None]
    span = [f"{part(ratios):.2f}" for part in (statistics.median, min, max)] if ratios else ["never"] * 3
    return [method, *span, len(ratios), ", ".join(str(run["epochs"]) for run in runs if run["epochs"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="MKD;RRD;SLD;RCEKD", help="separated by ;")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--alone", default="", help="keys for plain training alone")
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--result_file")
    options, words = parser.parse_known_args()
    torch.set_num_threads(1)
    methods = [method.strip() for method in options.methods.split(";") if method.strip()]
    alone, records = shlex.split(options.alone), []
    for seed in map(int, options.seeds.split(",")):
        keys = [*words, f"--seed={seed}"]
        plain, mark = plain_run(methods[0], keys, alone, options.metric)
        records.append(make_record("plain", seed, plain))
        for method in methods:
            run = method_run(method, keys, options.metric, mark, plain["seconds"])
            records.append(make_record(method, seed, run))
            print(f"seed {seed}, {method}: {run['ratio'] and round(run['ratio'], 2)}", flush=True)
    headers = ["method", "time / plain", "from", "to", "seeds that reach it", "epochs"]
    print(tabulate([summary_line(method, records) for method in methods], headers, tablefmt="github"))
    if options.result_file:
        more = [f"--methods={options.methods}", f"--seeds={options.seeds}", f"--alone={options.alone}"]
        command = command_line("benchmarks.cost.payback", [*more, *words])
        settings = {"keys": keys_of(words), "alone": keys_of(alone), "metric": options.metric}
        write_result(options.result_file, make_result("payback", [command], settings, records, environment()))


if __name__ == "__main__":
    main()
