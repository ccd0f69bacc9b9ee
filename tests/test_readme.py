"""The README's figures are those of the result files beside it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_seeds_is_that_of_its_result_file():
    found = json.loads((ROOT / "benchmarks/results/mkd-ml-100k.json").read_text())["test_result"]
    labels = {"teacher": "teacher, BPR 200", "student_alone": "the student alone", "distilled": "distilled by MKD"}
    for name, label in labels.items():
        row = next(line for line in README.splitlines() if line.startswith(f"| {label}"))
        figures = [float(figure) for figure in re.findall(r"0\.\d{4}", row)]
        wanted = [*found[name]["values"], found[name]["mean"], found[name]["sd"]]
        assert figures == pytest.approx(wanted, abs=5e-5)
    for other in ("student_alone", "teacher"):
        assert f"{found[f'distilled - {other}']['mean']:+.4f}" in README


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
    found = json.loads((ROOT / f"benchmarks/results/epoch-{dataset}.json").read_text())
    text = " ".join(README.split())
    times, more = round(found["ratio"]), round(found["method_rss_mib"] - found["plain_rss_mib"])
    assert re.search(rf"\b{times} times", text) and re.search(rf"\b{more}\b.* MiB more", text)


def test_the_page_of_keys_is_what_explain_prints():
    run = subprocess.run([sys.executable, "docs/keys.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == (ROOT / "docs/keys.md").read_text(encoding="utf-8"), "run: python docs/keys.py > docs/keys.md"
