"""The README's figures are those of the result files beside it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def figures_of(line):
    return [float(figure) for figure in re.findall(r"0\.\d{4}", line)]


def test_the_table_of_seeds_is_that_of_its_result_file():
    found = json.loads((ROOT / "benchmarks/results/mkd-ml-100k.json").read_text())["test_result"]
    labels = {"teacher": "teacher, BPR 200", "student_alone": "the student alone", "distilled": "distilled by MKD"}
    for name, label in labels.items():
        rows = [line for line in README.splitlines() if line.startswith(f"| {label}")]
        figures = next(many for many in map(figures_of, rows) if len(many) > 2)
        wanted = [*found[name]["values"], found[name]["mean"], found[name]["sd"]]
        assert figures == pytest.approx(wanted, abs=5e-5)
    for other in ("student_alone", "teacher"):
        assert f"{found[f'distilled - {other}']['mean']:+.4f}" in README


def test_the_first_table_is_that_of_the_same_file():
    found = json.loads((ROOT / "benchmarks/results/mkd-ml-100k.json").read_text())["test_result"]
    for row, name in (("teacher", "teacher, BPR 200"), ("student_alone", "the student alone, BPR 20"),
                      ("distilled", "the student distilled by MKD")):  # fmt: skip
        assert f"| {name} | {found[row]['mean']:.4f} ± {found[row]['sd']:.4f} |" in README


def test_the_picture_is_that_of_its_result_file():
    made = subprocess.run([sys.executable, ROOT / "docs/picture.py"], capture_output=True, check=True).stdout
    assert made.decode() == (ROOT / "docs/methods.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("dataset", ["ml-1m", "citeulike"])
def test_the_rows_of_larger_datasets_are_those_of_their_result_files(dataset):
    found = json.loads((ROOT / f"benchmarks/results/mkd-{dataset}.json").read_text())
    row = next(line for line in README.splitlines() if line.startswith(f"| {dataset} "))
    for name in ("teacher", "student_alone", "distilled"):
        assert f"{found[name]['test_result']['ndcg@10']:.4f}" in row


def test_every_key_that_the_readme_names_exists():
    from recbole_kd.config.keys import our_keys, recbole_keys

    keys = re.findall(r"--(?:teacher\.|student\.)?([a-z_]+)=", README)
    benchmarks = {"seeds", "key"}
    assert keys and not set(keys) - benchmarks - our_keys() - recbole_keys()


@pytest.mark.parametrize("dataset", ["citeulike", "ml-1m"])
def test_the_cost_of_an_epoch_is_that_of_its_result_file(dataset):
    found = json.loads((ROOT / f"benchmarks/results/cost-{dataset}.json").read_text())["methods"]["MKD"]
    text = " ".join(README.split())
    assert f"{found['ratio']:.1f} times" in text and f"{found['extra_rss_mib']:.0f} MiB" in text


@pytest.mark.parametrize(("name", "head", "rows"), [("citeulike", "BPR", 23), ("citeulike-lightgcn", "LightGCN", 7)])
def test_the_tables_of_methods_are_those_of_their_result_files(name, head, rows):
    text = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    text = text[text.index(f"## On citeulike, {head} 200") :]
    found = json.loads((ROOT / f"benchmarks/results/methods-{name}.json").read_text())["summary"]
    assert len(found) == rows
    for method, row in found.items():
        cells = [f"{row[metric]['mean']:.4f} ± {row[metric]['sd']:.4f}" for metric in ("recall@10", "ndcg@10")]
        line = next(line for line in text.splitlines() if line.startswith(f"| {method} "))
        assert all(cell in line for cell in cells)
        if "cost" in row:
            assert f" {row['cost']['ratio']:.1f} " in line


def test_the_page_of_keys_is_what_explain_prints():
    run = subprocess.run([sys.executable, "docs/keys.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == (ROOT / "docs/keys.md").read_text(encoding="utf-8"), "run: python docs/keys.py > docs/keys.md"


def test_the_table_of_several_teachers_is_that_of_its_result_file():
    text = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    found = json.loads((ROOT / "benchmarks/results/hetcomp-ml-100k.json").read_text())
    rows = {f"teacher {row['label']}": row for row in found["teachers"]}
    rows |= {"ensemble of them": found["ensemble"], "student alone, BPR 20": found["student_alone"]}
    rows |= {"distilled by HetComp, BPR 20": found["distilled"]}
    for label, row in rows.items():
        test = row["test_result"]
        assert f"| {label} | {test['recall@10']:.4f} | {test['ndcg@10']:.4f} | {row['parameters']:,} |" in text
    assert f"{found['recovered_share']['ndcg@10']:.0%} of the way" in text
    assert f"{found['distilled']['parameters'] / found['ensemble']['parameters']:.1%} of their parameters" in text
    faster = found["learning_rate_0.005"]["distilled"]
    for row, part in ((faster, "valid_result"), (faster, "test_result"), (found["distilled"], "valid_result")):
        assert f"{row[part]['ndcg@10']:.4f}" in text


def test_the_table_of_protocol_a_is_that_of_its_result_file():
    text = (ROOT / "docs/protocol-a.md").read_text(encoding="utf-8")
    found = json.loads((ROOT / "benchmarks/results/protocol-a.json").read_text())
    rows = found["datasets"]["citeulike-fileorder"]["rows"]
    assert list(rows)[:2] == ["teacher", "student alone"] and len(found["seeds"]) == 1
    for name, row in rows.items():
        test = row["metrics"]
        cells = [f"{test[metric]['mean']:.4f}" for metric in ("recall@10", "ndcg@10", "recall@20", "ndcg@20")]
        share = test["ndcg@10"].get("share")
        cells.append("" if share is None else f"{share:.0%}")
        assert f"| {name} | {' | '.join(cells)} | {row['epochs']:.0f} |".replace("|  |", "| |") in text
    for said in re.findall(r"`(properties/recipe/[\w.-]+|benchmarks/plans/[\w.-]+)`", text):
        assert (ROOT / said).is_file(), said
