"""Distil a SASRec into a GRU4Rec of a tenth of its width.

python examples/sequential.py
"""

from typing import Any

from recbole_kd import run_kd


def main(dataset: str = "ml-100k", **keys: Any) -> Any:
    """Run the example.

    Args:
        dataset: a dataset with a column of times.
        keys: other keys of the run, such as ``epochs=10``.

    Returns:
        The result of the run.
    """
    models = {"student_model": "GRU4Rec", "teacher_model": "SASRec", "MAX_ITEM_LIST_LENGTH": 20}
    result = run_kd(model="RRD", dataset=dataset, config_dict={**models, **keys})
    print("recovered share", result["recovered_share"])
    return result


if __name__ == "__main__":
    main()
