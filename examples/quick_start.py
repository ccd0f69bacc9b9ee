"""Distil a BPR of width 20 under one of width 200 on ml-100k, load it, and list recommendations.

python examples/quick_start.py
"""

from typing import Any

from recbole_kd import load_student, recommend, run_kd


def main(method: str = "MKD", dataset: str = "ml-100k", users: int = 3, **keys: Any) -> Any:
    """Run the example.

    Args:
        method: the distillation method.
        dataset: the dataset.
        users: for how many users items are listed.
        keys: other keys of the run, such as ``epochs=10``.

    Returns:
        A table of users, items and scores.
    """
    result = run_kd(model=method, dataset=dataset, config_dict=keys)
    for row in ("teacher", "student_alone", "distilled"):
        print(row, result[row]["test_result"], result[row]["parameters"], "parameters")
    checkpoint = result["distilled"]["checkpoint"]
    _, _, dataset_of_run, *_ = load_student(checkpoint)
    tokens = dataset_of_run.field2id_token[dataset_of_run.uid_field][1 : users + 1]
    table = recommend(checkpoint, users=[str(token) for token in tokens], k=5)
    print(table)
    return table


if __name__ == "__main__":
    main()
