"""Whether the projectors keep the student's preferences: how often two items change places on their way through.

    python benchmarks/preferences.py --methods="PCKD --cpd_weight=0;PCKD;MKD --cpd_weight=0;MKD" --seeds=1,2,3,4,5 \
        --dataset=ml-100k --result_file=benchmarks/results/preferences-ml-100k.json

Of two items i and j a user prefers one before the projectors, by the student's own vectors, and one after them: the
rate at which these differ is the inconsistency of Zhu & Zhang (arXiv 2311.04549 v2). It is taken where training leaves
the projectors, dropout off, PCKD's gates drawn as in training: over uniform pairs of items, and over pairs of which the
first is drawn from one fifth of the teacher's list and the second from another. Test metrics stand beside. Teachers are
found again in checkpoint_dir. Run it from the project's root.
"""

import argparse
import json
import logging
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from cost import config_of  # first: RecBole starts after it
from command import shareable
import torch
from recbole.utils import init_seed
from recbole_kd import KDTrainer
from recbole_kd.config import plain_config
from recbole_kd.register import method_class
from recbole_kd.teacher import parts
from recbole_kd.teacher.measure import versions
from recbole_kd.teacher.prepare import get_knowledge, get_teachers
from seeds import paired
from tabulate import tabulate

LIST, FIFTHS, ROUNDS = 100, 5, 20  # of the teacher's list: its length, its parts; pairs a user and kind


def compared(model):
    """The projection whose order is asked for: the regulariser's, where there is one, of unit length if it says so."""
    term = next((term for term in model.terms if hasattr(term, "projection")), None)
    return term.projection if term else next(term for term in model.terms if hasattr(term, "project")).project


def changed(model, users, first, second):
    """Whether each user's preference between two items differs before and after the projectors; all shapes [n]."""
    through = compared(model)
    with model.backbone.still() as view:
        before = [view.users(users)] + [view.items(ids) for ids in (first, second)]
        # an entity's gates are drawn once, for both of the comparison's sides
        after = [through("user", users, before[0])] + [
            through("item", ids, own) for ids, own in zip((first, second), before[1:], strict=True)
        ]
    delta = [(user * (one - other)).sum(-1) for user, one, other in (before, after)]
    return delta[0] * delta[1] < 0


def rates(model, knowledge, seed):
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
            float(changed(model, users, *(drawn(x * part, x * part + part) for x in (row, column))).double().mean())
            for column in range(FIFTHS)
        ]
        for row in range(FIFTHS)
    ]
    return {"uniform": float(changed(model, users, *uniform).double().mean()), "by_fifth": grid}


def run_of(method, seed, part, rest):
    """One training: the rates it leaves behind, and its metrics; the test part is not looked at for validation."""
    config = config_of(method, [*rest, f"--seed={seed}"])
    data = parts.split(plain_config(config))
    knowledge = get_knowledge(config, data, get_teachers(config, data))
    data = parts.split(plain_config(config))  # its loaders have not been drawn from
    init_seed(config["seed"], config["reproducibility"])
    trainer = KDTrainer(config, method_class(config.method)(config, data.train._dataset, knowledge))
    trainer.saved_model_file = str(Path(config["checkpoint_dir"]) / "preferences.pth")
    trainer.fit(data.train, data.valid, saved=True, show_progress=False)
    model = trainer.model.eval()
    with torch.no_grad():
        found = rates(model, knowledge, config["seed"])
    results = {"valid_result": trainer.best_valid_result}
    if part == "test_result":
        results[part] = trainer.evaluate(data.test, load_best_model=True, model_file=trainer.saved_model_file)
    return {**found, **{name: {key: float(x) for key, x in row.items()} for name, row in results.items()}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", required=True, help="separated by ;")
    parser.add_argument("--seeds", default="1,2,3,4,5")
    parser.add_argument("--metric", default="ndcg@10")
    parser.add_argument("--part", default="test_result", choices=("test_result", "valid_result"))
    parser.add_argument("--result_file")
    own, rest = parser.parse_known_args()
    logging.disable(logging.INFO)
    methods, seeds = own.methods.split(";"), own.seeds.split(",")
    folder = next((word.partition("=")[2] for word in rest if word.startswith("--checkpoint_dir=")), "saved")
    rest = [word for word in rest if not word.startswith("--checkpoint_dir=")]
    runs = {name: [] for name in methods}
    for seed in seeds:
        for name in methods:
            run = run_of(name, seed, own.part, [*rest, f"--checkpoint_dir={folder}/seed-{seed}"])
            runs[name].append(run)
            print(f"seed {seed} {name}: {run['uniform']:.3f}, {run[own.part][own.metric]:.4f}", flush=True)
    lines, summary = [], {}
    for name, found in runs.items():
        uniform, score = [run["uniform"] for run in found], [run[own.part][own.metric] for run in found]
        grid = torch.tensor([run["by_fifth"] for run in found]).mean(0).tolist()
        summary[name] = {
            "uniform": statistics.fmean(uniform), "by_fifth": grid, own.metric: statistics.fmean(score),
            "over_first": paired(score, [run[own.part][own.metric] for run in runs[methods[0]]])
            if name != methods[0] and found[1:] else None,
        }  # fmt: skip
        cells = (statistics.fmean(uniform), grid[0][0], grid[0][-1], grid[-1][-1], statistics.fmean(score))
        lines.append([name, *(f"{cell:.4f}" for cell in cells)])
    heads = ["method", "uniform", "both in the first fifth", "first and last", "both in the last", own.metric]
    print(tabulate(lines, heads, disable_numparse=True))
    if own.result_file:
        content = {
            "command": shareable(rest), "seeds": own.seeds, "metric": own.metric, "part": own.part,
            "summary": summary, "runs": runs, "versions": versions(),
        }  # fmt: skip
        Path(own.result_file).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
