"""New users against trained ones: a tenth of the users is held out of a BPR's training and folded in afterwards.

    python -m benchmarks.serving.fold_in --result_file=benchmarks/serving/results/fold-in-ml-100k.json
    python -m benchmarks.serving.fold_in --dataset=citeulike --data_path=data --result_file=...-citeulike.json

Test ndcg@10 of the held-out users: of a BPR that was trained on them, of their vectors by fold_in, and of popularity.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from benchmarks.command import command_line, environment
from benchmarks.schema import make_record, make_result, write_result
from benchmarks.serving.recommend import train

import recbole
from recbole_kd.serving import Recommender
from recbole_kd.serving import fold_in
from recbole_kd.serving import recommend
from recbole_kd.serving.checks import ndcg
from recbole_kd.serving.user_items import UserItems

KEYS = {"embedding_size": 20, "epochs": 60}
HELD_OUT, K = 0.1, 10  # a share of the users


def without_users(users, source, name, folder):
    """The interactions without some users, as a dataset of their own."""
    header, *lines = source.read_text().splitlines()
    kept = [line for line in lines if line.split("\t")[0] not in users]
    (folder / name).mkdir()
    (folder / name / f"{name}.inter").write_text("\n".join([header, *kept]) + "\n")


def measure(seed, folder, dataset, data_path):
    """ndcg@10 of the held-out users, by three ways."""
    place = {} if data_path is None else {"data_path": str(Path(data_path).absolute())}
    data = Path(data_path) if data_path else Path(recbole.__file__).parent / "dataset_example"
    everybody = Recommender(train("BPR", KEYS | {"seed": seed, "dataset": dataset} | place, folder))
    n_held_out = int(HELD_OUT * len(everybody.users))
    users = np.random.default_rng(seed).choice(np.arange(1, everybody.n_users), n_held_out, replace=False)
    name = f"held-out-{seed}"
    without_users(set(everybody.users.tokens[users]), data / dataset / f"{dataset}.inter", name, folder)
    own = {"seed": seed, "dataset": name, "data_path": str(folder), "load_col": {"inter": ["user_id", "item_id"]}}
    others = Recommender(train("BPR", KEYS | own, folder))

    test = UserItems.of_datasets([everybody.loaders[2]._dataset], everybody.n_users, everybody.n_items)
    seen = everybody.interactions("seen")
    known = np.isin(everybody.items.tokens, list(others.items.id_by_token()))  # items that the others have
    rows, items = seen.pairs(users)
    has_history = np.bincount(rows[known[items]], minlength=len(users)) > 0
    users = np.sort(users[(test.counts(users) > 0) & has_history])
    tokens, wanted = everybody.users.tokens[users], test.take(users)
    rows, items = seen.pairs(users)
    histories = {token: everybody.items.tokens[items[rows == row]].tolist() for row, token in enumerate(tokens)}

    def score(table):
        return float(ndcg(everybody.items.ids(table["item"].tolist()).reshape(-1, K), wanted).mean())

    popular = np.tile(np.bincount(seen.items, minlength=everybody.n_items).astype(float), (len(users), 1))
    popular[rows, items], popular[:, 0] = -1, -1
    return {
        "users": len(users),
        "trained": score(recommend(everybody, tokens.tolist(), K)),
        "folded_in": score(fold_in(others, histories, K, skip_unknown=True)),
        "popularity": float(ndcg(np.argsort(-popular, axis=1)[:, :K], wanted).mean()),
    }


def records(runs: dict) -> list[dict]:
    """A record for each way and seed: ndcg@10 of the held-out users."""
    ways = ("trained", "folded_in", "popularity")
    return [
        make_record(way, int(seed), {"test_ndcg@10": run[way], "users": run["users"]})
        for seed, run in runs.items()
        for way in ways
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--result_file", required=True)
    parser.add_argument("--seeds", default="1,2,3,4,5")
    parser.add_argument("--dataset", default="ml-100k")
    parser.add_argument("--data_path")
    options = parser.parse_args()
    data_path = options.data_path and Path(options.data_path).absolute()
    sys.argv = sys.argv[:1]  # RecBole reads the command line
    torch.set_num_threads(1)
    result_file, before = Path(options.result_file).absolute(), os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        runs = {seed: measure(int(seed), Path(folder), options.dataset, data_path) for seed in options.seeds.split(",")}
        os.chdir(before)
    words = [f"--dataset={options.dataset}", f"--seeds={options.seeds}"]
    command = command_line("benchmarks.serving.fold_in", words)
    write_result(result_file, make_result("fold_in", [command], {"keys": KEYS}, records(runs), environment()))


if __name__ == "__main__":
    main()
