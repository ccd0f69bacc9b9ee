"""What the first version left on disk is found and read: names, cache keys, checkpoints and stored knowledge.

``tests/files/0.1/saved`` is the checkpoint folder of a run of MKD on the dataset ``toy``, made at 81e16f4, before the
package was rearranged; ``result.json`` holds the figures of that run.
"""

import json
import shutil
from pathlib import Path

from recbole_kd import load_student, run_kd

FILES = Path(__file__).parent / "files" / "0.1"
SETTINGS = {
    "dataset": "toy", "epochs": 2, "train_batch_size": 128, "learning_rate": 0.01, "embedding_size": 4,
    "teacher": {"embedding_size": 12, "learning_rate": 0.01}, "show_progress": False, "checkpoint_dir": "saved",
    "state": "WARNING", "resume": True,
}  # fmt: skip


def test_models_of_the_first_version_are_found_and_its_knowledge_is_made_anew(data_path, workdir, monkeypatch):
    shutil.copytree(FILES / "saved", workdir / "saved")
    before = {file: file.read_bytes() for file in (workdir / "saved").rglob("*.npy")}

    def no_training(*args, **keys):
        raise AssertionError("a model was trained again")

    for name in (
        "recbole_kd.experiment.train",
        "recbole_kd.experiment.run_trainer",
        "recbole_kd.teacher.provider.train",
    ):
        monkeypatch.setattr(name, no_training)
    result = run_kd("MKD", config_dict={**SETTINGS, "data_path": str(data_path)})
    expected = json.loads((FILES / "result.json").read_text())
    for model, row in expected.items():
        assert {key: result[model][key] for key in row} == row
    after = {file: file.read_bytes() for file in (workdir / "saved").rglob("*.npy")}
    assert len(before) == 4 and after == before  # the same arrays, now with the checksums that they did not have
    assert list((workdir / "saved" / "knowledge").glob("*/top-90/checksums.json"))


def test_a_student_of_the_first_version_is_loaded(data_path, workdir):
    file = next((FILES / "saved").glob("BPR-toy-MKD-*.pth"))
    config, model, dataset, *_ = load_student(str(file), str(data_path))
    assert (config["model"], model.user_embedding.weight.shape) == ("BPR", (dataset.user_num, 4))
