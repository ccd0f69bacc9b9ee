"""A fresh process that only loads a student: what a serving script does."""

import subprocess
import sys

from recbole_kd.testing.conformance import ROOT, Bench


def test_a_fresh_process_loads_evaluates_and_ranks(settings, workdir):
    Bench("SLD", settings).trained(workdir / "x.pth")
    code = (
        "import recbole_kd\n"
        "from recbole.trainer import Trainer\n"
        "from recbole.utils.case_study import full_sort_topk\n"
        "config, model, dataset, train, valid, test = recbole_kd.load_student('x.pth')\n"
        "trainer = Trainer(config, model)\n"
        "trainer.eval_collector.data_collect(train)\n"
        "assert trainer.evaluate(test, load_best_model=False)['recall@10'] >= 0\n"
        "assert full_sort_topk([1, 2], model, test, k=3)[1].shape == (2, 3)\n"
    )
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    run = subprocess.run([sys.executable, "-c", code], cwd=workdir, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
