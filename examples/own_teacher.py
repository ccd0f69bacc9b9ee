"""Take a model that plain RecBole has trained as the teacher.

python examples/own_teacher.py
"""

from pathlib import Path
from typing import Any

from recbole.quick_start import run_recbole

import recbole_kd  # first, so that RecBole runs on today's numpy, scipy and torch


def main(dataset: str = "ml-100k", **keys: Any) -> Any:
    """Train a LightGCN in plain RecBole, and distil it into a BPR of width 10.

    Args:
        dataset: the dataset.
        keys: keys of both runs, such as ``epochs=10``. Data, split and seed have to be the same in both.

    Returns:
        The result of the distillation.
    """
    width = {"embedding_size": 100}
    run_recbole(model="LightGCN", dataset=dataset, config_dict={**keys, **width})
    # RecBole names the file by the time, and does not say which it was
    files = Path(keys.get("checkpoint_dir", "saved")).glob("LightGCN-*.pth")
    checkpoint = str(max(files, key=lambda file: file.stat().st_mtime))
    result = recbole_kd.run_kd(
        model="SLD", dataset=dataset, config_dict={**keys, "teacher_path": checkpoint, "embedding_size": 10}
    )
    print("teacher", result["teacher"]["test_result"])
    print("distilled", result["distilled"]["test_result"])
    return result


if __name__ == "__main__":
    main()
