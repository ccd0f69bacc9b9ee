"""The charts of the report."""

import json

import pytest

from recbole_kd.compare.report.charts import gains


def test_the_teachers_line_is_drawn_over_the_seeds_that_it_shares_with_the_student_alone(done):
    part = json.loads(json.dumps(done[1]["datasets"]["toy"]))
    rows = {name: part["rows"][name]["metrics"]["ndcg@10"] for name in ("teacher", "student alone")}
    gap = rows["teacher"]["values"]["1"] - rows["student alone"]["values"]["1"]
    del rows["student alone"]["values"]["2"]
    lines = [shape.x0 for shape in gains(part, "ndcg@10").layout.shapes]
    assert lines == pytest.approx([0, gap])
