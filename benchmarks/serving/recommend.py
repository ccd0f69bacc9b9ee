"""What recommend and export cost: against a loop of full_sort_topk, on random vectors, and at each precision.

    python -m benchmarks.serving.recommend --result_file=benchmarks/serving/results/recommend-ml-100k.json


Times are of the processor, one thread, the best of three: other work on the machine does not count.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.command import command_line, environment
from benchmarks.schema import make_record, make_result, write_result
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed
from recbole.utils.case_study import full_sort_topk
from recbole_kd.serving import Recommender
from recbole_kd.serving import export
from recbole_kd.serving import recommend
from recbole_kd.serving.output import open_table
from recbole_kd.serving.recommendations import frame_of
from recbole_kd.serving.recommender import batches
from recbole_kd.serving.recommender import rank
from recbole_kd.serving.scorers import Queries
from recbole_kd.serving.scorers import VectorScorer
from recbole_kd.serving.scorers import as_ids
from recbole_kd.serving.user_items import UserItems

LEAVE_ONE_OUT = {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full", "group_by": "user"}
MODELS = {
    "BPR": {"embedding_size": 20, "epochs": 40},
    "LightGCN": {"embedding_size": 16, "epochs": 2},
    "SimpleX": {"embedding_size": 16, "epochs": 5},
    "MultiVAE": {"epochs": 20, "train_neg_sample_args": None},
    "SASRec": {"epochs": 1, "n_layers": 1, "MAX_ITEM_LIST_LENGTH": 20, "train_batch_size": 1024,
               "train_neg_sample_args": None, "eval_args": LEAVE_ONE_OUT},
    "NeuMF": {"epochs": 3},
}  # fmt: skip
ITEMS, WIDTH, SEEN, K, LARGE = 100_000, 20, 30, 10, 1_500_000


def best_of_three(run):
    """The least processor time of three runs, in seconds."""
    times = []
    for _ in range(3):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return round(min(times), 3)


def train(name, keys, folder):
    """A checkpoint of plain RecBole, on ml-100k where the keys name no dataset."""
    settings = {"show_progress": False, "state": "ERROR", "checkpoint_dir": str(folder)}
    config = Config(model=name, dataset=keys.get("dataset", "ml-100k"), config_dict=settings | keys)
    init_seed(config["seed"], config["reproducibility"])
    data = data_preparation(config, create_dataset(config))
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(name)(config, data[0]._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
    trainer.saved_model_file = str(folder / f"{name}.pth")
    trainer.fit(*data[:2], saved=True, show_progress=False)
    return trainer.saved_model_file


def against_a_loop(model):
    """Seconds for the users with a test item: recommend, and full_sort_topk for one after the other."""
    test = model.loaders[2]
    users = (test._dataset.inter_feat["user_id"] if model.is_sequential else test.uid_list).unique().numpy()
    tokens, exclude = model.users.tokens[users].tolist(), "none" if model.is_sequential else "seen"
    table = recommend(model, tokens, K, exclude=exclude)
    device = model.config["device"]
    scores = [full_sort_topk(users[at : at + 1], model.model, test, K, device)[0] for at in range(len(users))]
    return {
        "users": len(users),
        "largest_difference": float(np.abs(table["score"].to_numpy() - torch.cat(scores).flatten().numpy()).max()),
        "recommend": best_of_three(lambda: recommend(model, tokens, K, exclude=exclude)),
        "loop": best_of_three(
            lambda: [full_sort_topk(users[at : at + 1], model.model, test, K, device) for at in range(len(users))]
        ),
    }


def precisions(model, folder):
    """Bytes and accuracy of the vectors at each precision."""
    rows = {}
    for precision in ("fp32", "fp16", "int8"):
        report = export(model, folder / "bundle", precision=precision, overwrite=True)
        size = (folder / "bundle" / "vectors.npz").stat().st_size
        rows[precision] = {
            "vectors": size, "all": report.size, **report.agreement.as_dict(), "ndcg@10": report.ndcg,
            "ndcg@10_fp32": report.ndcg_fp32,
        }  # fmt: skip
    return rows


def large(n, folder):
    """Seconds to rank, and to rank and write, for n users of random vectors."""
    draw = torch.Generator().manual_seed(0)
    scorer = VectorScorer(torch.randn(n + 1, WIDTH, generator=draw), torch.randn(ITEMS + 1, WIDTH, generator=draw))
    users = np.repeat(np.arange(1, n + 1), SEEN)
    items = np.random.default_rng(0).integers(1, ITEMS + 1, len(users))
    hidden = UserItems.of_pairs(users, items, n + 1, ITEMS + 1)
    tokens = [
        np.array([f"{side}{row}" for row in range(size + 1)], dtype=object) for side, size in (("u", n), ("i", ITEMS))
    ]

    def ranking():
        queries = (Queries(as_ids(some)) for some in batches(np.arange(1, n + 1), scorer.rows, "user", False))
        return rank(scorer, queries, K, np.arange(1, ITEMS + 1), hidden)

    def write(suffix):
        with open_table(folder / f"top.{suffix}", overwrite=True) as append:
            for ranked in ranking():
                append(frame_of(ranked, *tokens, ("user", "item")))

    runs = {"rank": lambda: [None for _ in ranking()], "csv": lambda: write("csv"), "parquet": lambda: write("parquet")}
    result = {"users": n, "items": ITEMS, "width": WIDTH, "seen": SEEN, "k": K}
    for name, run in runs.items():
        seconds = best_of_three(run)
        result[name] = {"seconds": seconds, "minutes_for_1.5_million": round(seconds / n * LARGE / 60, 1)}
    return result | {"peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}


def records(result: dict) -> list[dict]:
    """The measurements as records of the result file."""
    table = {key: value for key, value in result["large"].items() if not isinstance(value, dict)}
    rows = [
        make_record(f"large table, {name}", None, {**table, **values})
        for name, values in result["large"].items()
        if isinstance(values, dict)
    ]
    rows += [make_record(f"loop, {name}", None, values) for name, values in result["loops"].items()]
    return rows + [make_record(f"export, {name}", None, values) for name, values in result["precisions"].items()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--result_file", required=True)
    parser.add_argument("--users", type=int, default=40_000)
    parser.add_argument("--checkpoints", help="a folder for the checkpoints, which are trained once")
    options = parser.parse_args()
    sys.argv = sys.argv[:1]  # RecBole reads the command line
    torch.set_num_threads(1)
    result_file, before = Path(options.result_file).absolute(), os.getcwd()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.checkpoints or temporary).absolute()
        os.chdir(temporary)
        result = {"large": large(options.users, Path(temporary)), "loops": {}}
        for name, keys in MODELS.items():
            file = folder / f"{name}.pth"
            model = Recommender(file if file.exists() else train(name, keys, folder))
            result["loops"][name] = against_a_loop(model)
            if name == "BPR":
                result["precisions"] = precisions(model, Path(temporary))
        os.chdir(before)
    command = command_line("benchmarks.serving.recommend", [f"--users={options.users}"])
    write_result(result_file, make_result("recommend", [command], {"models": MODELS}, records(result), environment()))


if __name__ == "__main__":
    main()
