"""``recbole-kd doctor``: versions, what is missing, and what to do about it."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from recbole_kd import doctor

ROOT = Path(__file__).resolve().parent.parent


def installed(versions):
    def version(name):
        if name in versions:
            return versions[name]
        raise metadata.PackageNotFoundError(name)

    return version


def test_this_environment_can_run_it():
    run = subprocess.run([sys.executable, "run_kd.py", "doctor"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert lines[0].startswith("recbole_kd ") and lines[-1] == "recbole_kd can run here"
    assert any(line.split()[:3] == ["recbole", "1.2.1", "ok"] for line in lines)
    assert any(line.split()[0] == "torch" and line.endswith("ok") for line in lines if line.strip())
    assert not run.stderr


def test_what_is_missing_or_too_old_is_named_with_what_to_do(monkeypatch):
    needed = doctor.requirements(ROOT)
    versions = dict.fromkeys([name for name, _ in needed], "99")
    versions |= {"pandas": "3.0.1", "torch": "2.3.1+cpu"}
    monkeypatch.setattr(metadata, "version", installed(versions))
    text, code = doctor.report(ROOT)
    assert code == 1 and text.splitlines()[-1] == "3 of these need your attention"
    lines = {line.split()[0]: line for line in text.splitlines() if line.startswith("  ")}
    assert "missing" in lines["recbole"] and "pip install --no-deps recbole==1.2.1" in lines["recbole"]
    assert "run pip install 'pandas" in lines["pandas"] and ">=2.0" in lines["pandas"] and "<3" in lines["pandas"]
    assert "needs >=2.4" in lines["torch"]


def test_a_fault_is_listed_from_the_version_on_that_has_it(monkeypatch):
    monkeypatch.setattr(metadata, "version", installed({"numpy": "1.26.4", "scipy": "1.13.0", "torch": "2.5.1"}))
    text, _ = doctor.report(ROOT)
    assert "scipy 1.13" in text and "numpy 2" not in text and "torch 2.6" not in text


@pytest.mark.parametrize(
    ("found", "needed", "expected"),
    [("2.13.0+cpu", ">=2.4", True), ("0.1.1.post2209072238", ">=0.1.1.post2207130030", True), ("8", "==8.0", True),
     ("3.0.0rc1", "<3", False)],
)  # fmt: skip
def test_versions_are_compared_by_their_numbers(found, needed, expected):
    assert doctor.satisfies(found, needed) == expected


def test_requirements_are_those_of_setup_cfg():
    names = [name for name, _ in doctor.requirements(ROOT)]
    assert {"torch", "numpy", "pandas", "filelock"} <= set(names) and len(names) > 10
