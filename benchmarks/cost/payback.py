"""When distillation pays for itself: how long until the student is as good as plain training ever makes it.

    python benchmarks/payback.py --methods="MKD;RRD;SLD;RCEKD" --dataset=citeulike --data_path=data --seeds=1,2,3 \
        --learning_rate=0.01 --alone="--learning_rate=0.001" --result_file=benchmarks/results/payback-citeulike.json

Plain training goes on until it is stopped early; its best validation ``--metric`` is the mark. A method's seconds run
from reading the teacher to the first epoch that reaches the mark; what training the teacher took is told apart.
Processor seconds of one thread, without evaluation. ``--alone`` holds keys for plain training alone, which may learn
best at another rate. Run it from the project's root.
"""

import argparse
import json
import math
import shlex
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import recbole_kd  # first: RecBole starts after it
from command import shareable
from stock import stock_model
import torch
from cost import config_of
from recbole.trainer import Trainer
from recbole.utils import early_stopping, init_seed
from recbole_kd.config import plain_config
from recbole_kd.register import method_class
from recbole_kd.teacher import parts
from recbole_kd.teacher.measure import versions
from recbole_kd.teacher.prepare import get_knowledge, get_teachers
from tabulate import tabulate


def curve(trainer, data, began, metric, mark=None, seconds=math.inf):
    """(seconds, validation ``metric``) after each epoch: until so many ``seconds`` are over, or without them until
    ``mark`` is reached or RecBole would stop early, by its own valid_metric.
    """
    points, watched = [], 0.0
    for epoch in range(trainer.epochs):
        trainer._train_epoch(data.train, epoch)
        paused = time.process_time()
        score, found = trainer._valid_epoch(data.valid)
        watched += time.process_time() - paused
        points.append((time.process_time() - began - watched, float(found[metric])))
        trainer.best_valid_score, trainer.cur_step, stopped, _ = early_stopping(
            score, trainer.best_valid_score, trainer.cur_step, trainer.stopping_step, trainer.valid_metric_bigger
        )
        reached = mark is not None and points[-1][1] >= mark
        if points[-1][0] >= seconds or (seconds == math.inf and (stopped or reached)):
            break
    return points


def plain(config, metric):
    """The curve of RecBole's own Trainer."""
    config, data = plain_config(config), parts.split(plain_config(config))
    trainer = Trainer(config, stock_model(config, data.train._dataset))
    return curve(trainer, data, time.process_time(), metric)


def distilled(config, metric, mark=None, seconds=math.inf):
    """The curve of a method, from the reading of its teacher on; nothing that was read before is found again."""
    data = parts.split(plain_config(config))
    teachers = get_teachers(config, data)
    with tempfile.TemporaryDirectory() as folder:
        config["checkpoint_dir"] = folder
        init_seed(config["seed"], config["reproducibility"])
        began = time.process_time()
        knowledge = get_knowledge(config, data, teachers)
        trainer = recbole_kd.KDTrainer(config, method_class(config.method)(config, data.train._dataset, knowledge))
        return curve(trainer, data, began, metric, mark, seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="MKD;RRD;SLD;RCEKD", help="separated by ;")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--alone", default="", help="keys for plain training alone")
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--result_file")
    own, rest = parser.parse_known_args()
    torch.set_num_threads(1)
    methods = [method.strip() for method in own.methods.split(";") if method.strip()]
    runs = []
    for seed in own.seeds.split(","):
        keys = [*rest, f"--seed={seed}"]
        theirs = shlex.split(own.alone)
        others = [key for key in keys if key.split("=")[0] not in {word.split("=")[0] for word in theirs}]
        config = config_of(methods[0].split()[0], [*others, *theirs])  # a method's own keys are not for it
        points = plain(config, own.metric)
        mark = max(score for _, score in points)
        took = next(seconds for seconds, score in points if score >= mark)
        run = {"seed": int(seed), "plain": {"best": mark, "seconds": took, "epochs": len(points)}, "methods": {}}
        for method in methods:
            points = distilled(config_of(method, keys), own.metric, mark)
            seconds, score = points[-1]
            reached = {"seconds": seconds, "epochs": len(points), "ratio": seconds / took} if score >= mark else None
            run["methods"][method] = reached
            print(f"seed {seed}, {method}: {reached and round(reached['ratio'], 2)}", flush=True)
        runs.append(run)
    lines = []
    for method in methods:
        found = [run["methods"][method] for run in runs]
        ratios = [one["ratio"] for one in found if one]
        span = [f"{part(ratios):.2f}" for part in (statistics.median, min, max)] if ratios else ["never"] * 3
        lines.append([method, *span, len(ratios), ", ".join(str(one["epochs"]) for one in found if one)])
    print(tabulate(lines, ["method", "time / plain", "from", "to", "seeds that reach it", "epochs"], tablefmt="github"))
    if own.result_file:
        command = shareable(rest)
        content = {"command": command, "alone": own.alone, "metric": own.metric, "runs": runs, "versions": versions()}
        Path(own.result_file).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
