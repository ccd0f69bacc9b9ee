"""Plans whose entries do not fit together are refused by their configs alone."""

import pytest

from recbole_kd.compare.expand import plan_runs
from recbole_kd.compare.plan import make_plan
from recbole_kd.errors import KDError
from tests.compare.helpers import refused


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"methods": ["RRD", "HetComp"], "keys": {"learning_rate": None}, "alone": {}},
            ["the student alone", "learning_rate", "'HetComp'", "'alone'"],
        ),
        ({"methods": [{"model": "SLD", "sld_weight": -1}]}, ["toy, SLD", "sld_weight=-1"]),
        (
            {"methods": ["SLD", {"model": "RRD", "epochs": 9}]},
            ["'RRD'", "another teacher", "epochs 9", "teacher.epochs"],
        ),
        ({"methods": ["SLD", {"model": "RRD", "teacher_model": "LightGCN"}]}, ["another teacher", "under 'keys'"]),
        (
            {"methods": ["HetComp", {"model": "HetComp", "name": "near", "neighbour_weight": 1.0}]},
            ["differ in neighbour_weight", "under 'keys'"],
        ),
        ({"methods": [{"model": "SLD", "rrd_weight": 1}, "RRD"]}, ["toy, SLD", "rrd_weight", "RRD"]),
        ({"methods": ["KD"], "keys": {"rrd_weight": 1}}, ["toy", "rrd_weight", "RRD"]),
        ({"alone": {"n_layers": 3}}, ["student alone", "n_layers", "BPR"]),
        ({"keys": {"teacher_model": "LightGCN", "n_layers": 3}}, ["toy", "teacher.n_layers", "LightGCN"]),
        ({"methods": ["SLD", {"model": "RRD", "teacher.n_layers": 3}]}, ["toy, RRD", "teacher.n_layers", "BPR has no"]),
    ],
)
def test_entries_that_do_not_fit_together_are_refused_in_one_sentence(changed, words, content, workdir, capsys):
    message = refused(content, changed, workdir, capsys)
    assert all(word in message for word in words), message


def test_methods_along_unlike_numbers_of_states_are_refused(content, workdir):
    methods = ["HetComp", {"model": "HetComp", "teacher_states": 3, "name": "three"}]
    with pytest.raises(KDError, match="differ in teacher_states"):
        plan_runs(make_plan({**content, "methods": methods, "folder": "c"}))
