"""Accuracy, size and latency side by side: the table at a run's end and its JSON."""

import json
import statistics
import time

import torch
from recbole.data.interaction import Interaction
from tabulate import tabulate

from recbole_kd.teacher.checkpoint import write_whole

ROWS = ("teacher", "student_alone", "distilled")
USERS_A_BATCH = 256


def entry(model, file, valid_result, test_result, ms_per_user):
    """One row of the result: metrics, size and speed of a plain RecBole model."""
    weights = list(model.parameters())
    return {
        "test_result": test_result,
        "valid_result": valid_result,
        "parameters": sum(weight.numel() for weight in weights),
        "bytes": sum(weight.numel() * weight.element_size() for weight in weights),
        "ms_per_user": ms_per_user,
        "checkpoint": file,
    }


@torch.no_grad()
def latencies(models, users, k, rounds=15):
    """Milliseconds a user for ranking the whole catalogue: median over rounds that take the models in turn.

    Args:
        models: name to RecBole model.
        users: ids, of which up to 256 are ranked in one batch.
        k: length of the list that is taken.
    """
    users = users[:USERS_A_BATCH]
    times: dict[str, list[float]] = {name: [] for name in models}
    for round_ in range(rounds + 2):
        for name, model in models.items():
            batch = Interaction({model.USER_ID: users.to(model.device)})
            began = time.perf_counter()
            scores = model.eval().full_sort_predict(batch).view(len(users), -1)
            scores.topk(min(k, scores.shape[1]), dim=1).indices.cpu()
            if round_ >= 2:  # the first ones warm caches: LightGCN propagates once
                times[name].append(1000 * (time.perf_counter() - began) / len(users))
    return {name: statistics.median(values) for name, values in times.items()}


def recovered_share(result):
    """(distilled - alone) / (teacher - alone) for each test metric; None where the teacher is no better."""
    teacher, alone, distilled = (result[name]["test_result"] for name in ROWS)
    share = {}
    for metric in distilled:
        gap = teacher[metric] - alone[metric]
        share[metric] = (distilled[metric] - alone[metric]) / gap if gap > 0 else None
    return share


def table(result):
    """The result as text: a row for each model, then the recovered share."""
    metrics = list(result["distilled"]["test_result"])
    lines = []
    for name in ROWS:
        if name in result:
            row = result[name]
            label = f"distilled ({row['method']})" if name == "distilled" else name.replace("_", " ")
            numbers = [f"{row['test_result'][metric]:.4f}" for metric in metrics]
            lines.append([label, *numbers, f"{row['parameters']:,}", f"{row['bytes']:,}", f"{row['ms_per_user']:.4f}"])
    if "recovered_share" in result:
        shares = [result["recovered_share"][metric] for metric in metrics]
        lines.append(["recovered share", *("n/a" if share is None else f"{share:.0%}" for share in shares), "", "", ""])
    heads = ["test", *metrics, "parameters", "bytes", "ms/user"]
    return tabulate(lines, heads, disable_numparse=True, colalign=("left", *["right"] * (len(heads) - 1)))


def write_result(file, result):
    """The result as JSON, whole or not at all."""
    write_whole(file, (json.dumps(result, indent=1) + "\n").encode())
