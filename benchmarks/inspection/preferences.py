"""Whether the projectors keep the student's preferences: how often two items change places on their way through.

    python -m benchmarks.inspection.preferences --methods="PCKD --cpd_weight=0;PCKD;MKD --cpd_weight=0;MKD" \
        --seeds=1,2,3,4,5 --dataset=ml-100k --result_file=benchmarks/inspection/results/preferences-ml-100k.json

Of two items i and j a user prefers one before the projectors, by the student's own vectors, and one after them: the
rate at which these differ is the inconsistency of Zhu & Zhang (arXiv 2311.04549 v2). It is taken where training leaves
the projectors, dropout off, PCKD's gates drawn as in training: over uniform pairs of items, and over pairs of which the
first is drawn from one fifth of the teacher's list and the second from another. Test metrics stand beside. Teachers are
read again from checkpoint_dir.
"""

import argparse
import logging
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from recbole.utils import init_seed
from tabulate import tabulate
from torch import nn

from benchmarks.command import command_line, environment, folder_of, keys_of
from benchmarks.cost.epoch import config_of
from benchmarks.schema import make_record, make_result, write_result
from recbole_kd.config.configurator import plain_config
from recbole_kd.data.split import prepare_split
from recbole_kd.knowledge.base import BaseKnowledge
from recbole_kd.knowledge.loader import load_knowledge
from recbole_kd.method.registry import method_class
from recbole_kd.teacher.provider import provide_teachers
from recbole_kd.trainer.kd_trainer import KDTrainer

LIST, FIFTHS, ROUNDS = 100, 5, 20  # of the teacher's list: its length, its parts; pairs a user and kind


def projection_of(model: nn.Module) -> Callable:
    """The projection whose order is tested: that of the regulariser, of unit length if it says so, else the term's."""
    term = next((term for term in model.terms if hasattr(term, "projection")), None)
    return term.projection if term else next(term for term in model.terms if hasattr(term, "project")).project


def order_changed(model: nn.Module, users: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Whether each user's preference between two items differs before and after the projectors; all shapes [n]."""
    project = projection_of(model)
    with model.backbone.eval_view() as view:
        before = [view.query_vectors(users)] + [view.item_vectors(ids) for ids in (first, second)]
        # an entity's gates are drawn once, for both of the comparison's sides
        after = [project("user", users, before[0])] + [
            project("item", ids, vectors) for ids, vectors in zip((first, second), before[1:], strict=True)
        ]
    delta = [(user * (one - other)).sum(-1) for user, one, other in (before, after)]
    return delta[0] * delta[1] < 0


def rates(model: nn.Module, knowledge: BaseKnowledge, seed: int) -> dict[str, Any]:
    """The share of changed pairs: of uniform ones, and by the fifths that its two items stand in."""
    generator = torch.Generator().manual_seed(seed)
    top = knowledge.top_items(LIST)
    users = (top.length == LIST).nonzero().flatten().repeat(ROUNDS)

    def drawn(low, high):
        places = torch.randint(low, high, (len(users),), generator=generator)
        return top.ids[users, places].long()

    uniform = [torch.randint(1, knowledge.n_items, (len(users),), generator=generator) for _ in range(2)]
    part = LIST // FIFTHS
    grid = [
        [
            float(
                order_changed(model, users, *(drawn(x * part, x * part + part) for x in (row, column))).double().mean()
            )
            for column in range(FIFTHS)
        ]
        for row in range(FIFTHS)
    ]
    return {"uniform": float(order_changed(model, users, *uniform).double().mean()), "by_fifth": grid}


def run_of(method: str, seed: str, part: str, words: list[str]) -> dict[str, Any]:
    """One training: the rates it leaves behind, and its metrics; the test part is not looked at for validation."""
    config = config_of(method, [*words, f"--seed={seed}"])
    data = prepare_split(plain_config(config))
    knowledge = load_knowledge(config, data, provide_teachers(config, data))
    data = prepare_split(plain_config(config))  # its loaders have not been drawn from
    init_seed(config["seed"], config["reproducibility"])
    trainer = KDTrainer(config, method_class(config.method)(config, data.train._dataset, knowledge))
    trainer.saved_model_file = str(Path(config["checkpoint_dir"]) / "preferences.pth")
    trainer.fit(data.train, data.valid, saved=True, show_progress=False)
    model = trainer.model.eval()
    with torch.no_grad():
        values = rates(model, knowledge, config["seed"])
    results = {"valid": trainer.best_valid_result}
    if part == "test":
        results[part] = trainer.evaluate(data.test, load_best_model=True, model_file=trainer.saved_model_file)
    return values | {f"{name}_{key}": float(x) for name, row in results.items() for key, x in row.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", required=True, help="separated by ;")
    parser.add_argument("--seeds", default="1,2,3,4,5")
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--part", default="test", choices=("test", "valid"))
    parser.add_argument("--result_file")
    options, words = parser.parse_known_args()
    logging.disable(logging.INFO)
    methods, key = options.methods.split(";"), f"{options.part}_{options.metric}"
    folder, words = folder_of(words)
    records = []
    for seed in options.seeds.split(","):
        for name in methods:
            run = run_of(name, seed, options.part, [*words, f"--checkpoint_dir={folder}/seed-{seed}"])
            records.append(make_record(name, int(seed), run))
            print(f"seed {seed} {name}: {run['uniform']:.3f}, {run[key]:.4f}", flush=True)
    lines = []
    for name in methods:
        runs = [record["values"] for record in records if record["name"] == name]
        grid = torch.tensor([run["by_fifth"] for run in runs]).mean(0).tolist()
        means = [statistics.fmean(run[column] for run in runs) for column in ("uniform", key)]
        cells = (means[0], grid[0][0], grid[0][-1], grid[-1][-1], means[1])
        lines.append([name, *(f"{cell:.4f}" for cell in cells)])
    headers = ["method", "uniform", "both in the first fifth", "first and last", "both in the last", options.metric]
    print(tabulate(lines, headers, disable_numparse=True))
    if options.result_file:
        more = [f"--methods={options.methods}", f"--seeds={options.seeds}", f"--part={options.part}"]
        command = command_line("benchmarks.inspection.preferences", [*more, *words])
        settings = {"keys": keys_of(words), "metric": options.metric, "seeds": list(map(int, options.seeds.split(",")))}
        content = make_result("preferences", [command], settings, records, environment())
        write_result(options.result_file, content)


if __name__ == "__main__":
    main()
