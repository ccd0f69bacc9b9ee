"""The summary of a comparison as CSV, LaTeX and text."""

import csv

from recbole_kd.compare.report.tables import accuracy, comparison_text


def test_the_csv_files_and_the_text_hold_the_summary(done):
    plan, summary = done
    rows = summary["datasets"]["toy"]["rows"]
    lines = list(csv.DictReader((plan.folder / "summary.csv").read_text().splitlines()))
    assert len(lines) == 4 * 5
    for line in lines:
        entry = rows[line["name"]]["metrics"][line["metric"]]
        assert float(line["mean"]) == entry["mean"] and int(line["parameters"]) == rows[line["name"]]["parameters"]
        if line["method"]:
            assert float(line["against_rival_p_holm"]) == entry["against_rival"]["p_holm"]
    singles = list(csv.DictReader((plan.folder / "runs.csv").read_text().splitlines()))
    assert (
        len(singles) == 8 * 5 and float(singles[0]["value"]) == rows["teacher"]["metrics"]["recall@10"]["values"]["1"]
    )
    printed, tex = comparison_text(summary), (plan.folder / "summary.tex").read_text()
    for line in accuracy(summary["datasets"]["toy"], "ndcg@10")[1]:
        assert all(cell in printed for cell in line) and all(cell.replace("%", r"\%") in tex for cell in line)
