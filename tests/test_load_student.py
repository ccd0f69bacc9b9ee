"""A fresh process that only loads a student, as a serving script does."""

from pathlib import Path

import recbole_kd
from recbole_kd.testing import ConformanceRun
from tests.processes import run_code

CODE = """
import recbole_kd
from recbole.trainer import Trainer
from recbole.utils.case_study import full_sort_topk
config, model, dataset, train, valid, test = recbole_kd.load_student('x.pth')
trainer = Trainer(config, model)
trainer.eval_collector.data_collect(train)
assert trainer.evaluate(test, load_best_model=False)['recall@10'] >= 0
assert full_sort_topk([1, 2], model, test, k=3)[1].shape == (2, 3)
"""


def test_a_fresh_process_loads_evaluates_and_ranks(settings, workdir):
    ConformanceRun("SLD", settings).trained(workdir / "x.pth")
    code, errors = run_code(CODE, workdir, Path(recbole_kd.__file__).parents[1])
    assert code == 0, errors
