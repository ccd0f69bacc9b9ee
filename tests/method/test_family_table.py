"""The table of methods and families, derived from what the terms declare."""

import pytest

from recbole_kd.backbone.capabilities import FACTORS, SCORER_MODEL, SEQUENCE_MODEL, VECTORS, Capability
from recbole_kd.cli import main
from recbole_kd.config.schema import method_names
from recbole_kd.method.families import STUDENTS, family_row, method_family_table, teachers_that_work
from recbole_kd.report import families_table


@pytest.mark.parametrize(
    "method, cells",
    [
        ("RRD", ["any", "any", "any", "any"]),
        ("SLD", ["scores, vectors"] * 4),
        ("DE", ["vectors", "-", "vectors", "-"]),
        ("FreqD", ["vectors", "-", "-", "-"]),  # its graph joins users outside the batch
        ("BD", ["vectors", "vectors", "-", "-"]),  # it trains the teacher's tables of all users
        ("Distiller", ["as its terms"] * 4),
    ],
)
def test_a_method_works_for_the_families_that_have_what_its_terms_read(method, cells):
    assert method_family_table()[method] == cells


def test_a_sequence_student_has_no_teacher_with_a_table_of_all_queries():
    needs = (FACTORS, Capability.SCORES)
    assert teachers_that_work(*needs, SCORER_MODEL, is_sequential=False) == ["vectors"]
    assert teachers_that_work(*needs, SEQUENCE_MODEL, is_sequential=True) == []


def test_the_needs_of_several_terms_add_up():
    ranks, vectors = (Capability.RANKS, Capability.SCORES), (VECTORS, VECTORS)
    assert family_row([ranks, vectors]) == family_row([vectors]) != family_row([ranks])


def test_a_broken_method_is_left_out():
    assert set(method_names()) - set(method_family_table(["RRD"])) == {"RRD"}


def test_list_prints_the_table_in_at_most_100_columns(capsys):
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    table = families_table()
    assert table in printed
    assert max(map(len, table.splitlines())) <= 100
    assert all(name in table.splitlines()[0] for name in STUDENTS)
