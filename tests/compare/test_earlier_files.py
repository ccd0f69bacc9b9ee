"""Files of a comparison that the first version wrote, without ``schema_version``, are read as they are.

``tests/files/0.1/compared`` has the run files and the summary of a comparison at 307b002.
"""

import json
import shutil
from pathlib import Path

from recbole_kd.compare.plan import make_plan
from recbole_kd.compare.scheduler import compare
from recbole_kd.testing.datasets import write_dataset

FILES = Path(__file__).parents[1] / "files" / "0.1" / "compared"
KEYS = {
    "data_path": "data",
    "epochs": 2,
    "train_batch_size": 128,
    "learning_rate": 0.01,
    "embedding_size": 4,
    "teacher": {"embedding_size": 12, "learning_rate": 0.01},
    "resume_interval": 0,
    "state": "WARNING",
}
PLAN = {"datasets": ["toy"], "seeds": [1, 2], "methods": ["SLD"], "keys": KEYS, "folder": "compared"}


def test_a_comparison_of_the_first_version_is_complete_and_its_summary_has_the_same_fields(workdir, monkeypatch):
    write_dataset(workdir / "data", "toy")
    shutil.copytree(FILES, workdir / "compared")

    def no_run(*_):
        raise AssertionError("a run was executed or timed again")

    monkeypatch.setattr("recbole_kd.compare.scheduler.execute_run", no_run)
    monkeypatch.setattr("recbole_kd.compare.scheduler.time_models", no_run)
    summary, earlier = compare(make_plan(PLAN)), json.loads((FILES / "summary.json").read_text())
    assert {key: summary[key] for key in earlier} == earlier
    assert summary["schema_version"] == 1 and "schema_version" not in earlier
