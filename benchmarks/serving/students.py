"""Distilled students of four families on ml-100k: recommend for all users against RecBole's full_sort_topk.

    python -m benchmarks.serving.students --result_file=benchmarks/serving/results/students-ml-100k.json

EASE teaches each student for a few epochs; a wider CKE teaches the CKE. The lists of all users who have a test item are
compared with those of full_sort_topk: a list is the same where its scores are, up to 1e-4 of the user's largest score,
so that ties may be ordered otherwise. Times are of the processor, one thread, the best of three; the loop calls
full_sort_topk for one user after the other.
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
from benchmarks.serving.recommend import K, best_of_three
from recbole.utils.case_study import full_sort_topk
from recbole_kd import recommend, run_kd
from recbole_kd.serving import Recommender

SHARED = {"dataset": "ml-100k", "teacher_model": "EASE", "baseline": False, "show_progress": False, "state": "ERROR"}
SHARED |= {"eval_step": 5, "checkpoint_dir": "saved"}
SEQUENCES = {"MAX_ITEM_LIST_LENGTH": 20, "train_batch_size": 1024, "train_neg_sample_args": None}
STUDENTS = {
    "BPR": ("RRD", {"embedding_size": 20, "epochs": 20}),
    "SASRec": ("SLD", {"n_layers": 1, "epochs": 1, "eval_step": 1, **SEQUENCES}),
    "GRU4Rec": ("SLD", {"epochs": 1, "eval_step": 1, **SEQUENCES}),
    "MultiVAE": ("KD", {"epochs": 20, "train_neg_sample_args": None}),
    "NeuMF": ("RRD", {"epochs": 2, "eval_step": 1}),
    "CKE": (
        "RRD",
        {"teacher_model": "CKE", "embedding_size": 20, "kg_embedding_size": 20, "epochs": 3, "eval_step": 1},
    ),
}


def distil(student: str, checkpoints: Path) -> str:
    """The checkpoint of a distilled student; it is trained where the folder has none."""
    kept = checkpoints / f"{student}.path"
    if kept.exists():
        return kept.read_text()
    method, keys = STUDENTS[student]
    result = run_kd(method, config_dict=SHARED | {"student_model": student, "checkpoint_dir": str(checkpoints)} | keys)
    kept.write_text(str(result["distilled"]["checkpoint"]))
    return kept.read_text()


def measure(model: Recommender) -> dict:
    """How many lists of recommend are those of full_sort_topk, and how long both take."""
    test, exclude = model.loaders[2], "none" if model.is_sequential else "seen"
    users = (test._dataset.inter_feat["user_id"] if model.is_sequential else test.uid_list).unique().numpy()
    everybody = recommend(model, None, K, exclude=exclude)
    tokens, device = model.users.tokens[users].tolist(), model.config["device"]
    scores = everybody.set_index("user").loc[tokens, "score"].to_numpy().reshape(-1, K)
    wanted = full_sort_topk(users, model.model, test, K, device)[0].numpy()
    tolerance = 1e-4 * np.abs(wanted).max(axis=1, keepdims=True)
    return {
        "users": everybody["user"].nunique(),
        "users_with_test_item": len(users),
        "same": int((np.abs(scores - wanted) <= tolerance).all(axis=1).sum()),
        "recommend_seconds": best_of_three(lambda: recommend(model, tokens, K, exclude=exclude)),
        "loop_seconds": best_of_three(
            lambda: [full_sort_topk(users[at : at + 1], model.model, test, K, device) for at in range(len(users))]
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--result_file", required=True)
    parser.add_argument("--checkpoints", help="a folder for the checkpoints, which are trained once")
    options = parser.parse_args()
    sys.argv = sys.argv[:1]  # RecBole reads the command line
    torch.set_num_threads(1)
    result_file, before = Path(options.result_file).absolute(), os.getcwd()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.checkpoints or temporary).absolute()
        os.chdir(temporary)
        records = [
            make_record(name, None, measure(Recommender(distil(name, folder))), {"method": STUDENTS[name][0]})
            for name in STUDENTS
        ]
        os.chdir(before)
    command = command_line("benchmarks.serving.students", [])
    settings = {"keys": SHARED, "students": STUDENTS}
    write_result(result_file, make_result("recommend", [command], settings, records, environment()))


if __name__ == "__main__":
    main()
