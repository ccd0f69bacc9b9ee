"""The HTML of the report's elements."""

from recbole_kd.compare.report.markup import table


def test_a_name_is_not_markup():
    assert "<b>" not in table(["<b>"], [["<b>", "<i>"]])
