"""``recbole-kd doctor``: what of the environment recbole_kd needs, what is there, and what to do.

It imports neither RecBole nor anything of recbole_kd that does, so that it answers where these cannot be imported.
"""

import importlib
import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from recbole_kd._version import __version__

RECBOLE, INSTALL_RECBOLE = "1.2.1", "pip install --no-deps recbole==1.2.1"
# what RecBole 1.2.1 cannot do by itself from a version of a package on, and recbole_kd mends
FAULTS = (
    ("numpy", "2", "RecBole's Config uses names that numpy 2 has removed"),
    ("scipy", "1.13", "LightGCN and other graph models use a method that scipy 1.13 has removed"),
    ("torch", "2.6", "torch 2.6 refuses to load RecBole's checkpoints"),
)
EXTRAS = {"optuna": "tune", "hyperopt": "hyperopt", "onnxruntime": "serve", "faiss-cpu": "serve", "pyarrow": "serve"}
REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)\s*([<>=!,.\d\w\s*]*)")


class Finding(NamedTuple):
    """One line of the report: a package or a device, what is there, and what to do (empty where all is well)."""

    name: str
    present: str
    advice: str


def report(files: Path | None = None) -> tuple[str, int]:
    """The report, and the exit code: 0, or 1 where something has to be done.

    Args:
        files: the folder of setup.cfg, which names the requirements where the package is not installed; None: the
            checkout that this file belongs to.
    """
    findings = [check_python(), check_recbole()]
    findings += [check_package(name, needed) for name, needed in requirements(files)]
    width = max(len(one.name) for one in findings)
    lines = [f"recbole_kd {__version__}", ""]
    lines += [f"  {one.name:<{width}}  {one.present:<12}  {one.advice or 'ok'}" for one in findings]
    lines += ["", f"  device: {device()}", ""]
    lines += [
        f"  mended after `import recbole_kd`: {reason}" for name, since, reason in FAULTS if _is_from(name, since)
    ]
    missing = [f"  optional: {name} is missing (extra {extra})" for name, extra in EXTRAS.items() if not version(name)]
    failed = [one for one in findings if one.advice]
    verdict = f"{len(failed)} of these need your attention" if failed else "recbole_kd can run here"
    return "\n".join([*lines, *missing, "", verdict]), int(bool(failed))


def check_python() -> Finding:
    """Python from 3.10 on."""
    old = sys.version_info < (3, 10)
    return Finding("python", platform.python_version(), "needs 3.10 or later" if old else "")


def check_recbole() -> Finding:
    """RecBole 1.2.1."""
    installed = version("recbole")
    advice = "" if installed == RECBOLE else f"needs {RECBOLE}: run {INSTALL_RECBOLE}"
    return Finding("recbole", installed or "missing", advice)


def check_package(name: str, needed: str) -> Finding:
    """A package that setup.cfg requires, with its range such as ``>=2.0,<3``."""
    installed = version(name)
    if installed is None:
        return Finding(name, "missing", f"run pip install '{name}{needed}'")
    advice = f"needs {needed}: run pip install '{name}{needed}'"
    return Finding(name, installed, "" if satisfies(installed, needed) else advice)


def requirements(files: Path | None = None) -> list[tuple[str, str]]:
    """What the package requires besides RecBole: names and ranges."""
    try:
        lines = [line for line in metadata.requires("recbole-kd") or [] if "extra ==" not in line]
    except metadata.PackageNotFoundError:
        folder = files or Path(__file__).resolve().parents[1]
        text = (folder / "setup.cfg").read_text(encoding="utf-8")
        lines = text.split("install_requires =")[1].split("\n[")[0].split("\n")
    matches = [REQUIREMENT.match(line.strip()) for line in lines if line.strip()]
    return [(one[1], one[2].replace(" ", "")) for one in matches if one]


def version(name: str) -> str | None:
    """The installed version of a package; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def satisfies(installed: str, needed: str) -> bool:
    """Whether a version lies in a range.

    >>> satisfies("2.10.1", ">=2.9"), satisfies("3.0", ">=2.0,<3"), satisfies("1.0", "")
    (True, False, True)
    """
    tests = {
        ">=": lambda one, other: one >= other, "<": lambda one, other: one < other,
        "==": lambda one, other: one == other,
    }  # fmt: skip
    for part in filter(None, needed.split(",")):
        sign = next(sign for sign in (">=", "==", "<") if part.startswith(sign))
        one, other = numbers(installed), numbers(part.removeprefix(sign))
        length = max(len(one), len(other))
        padded = ([*one, *[0] * (length - len(one))], [*other, *[0] * (length - len(other))])
        if not tests[sign](*padded):
            return False
    return True


def numbers(text: str) -> list[int]:
    """The leading numbers of a version: those of ``2.13.0+cpu`` are 2, 13 and 0."""
    return [int(one) for one in re.match(r"[\d.]*", text)[0].split(".") if one]  # type: ignore[index]


def device() -> str:
    """The GPU that torch sees, or the CPU's cores."""
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        return f"unknown, since torch cannot be imported ({error})"
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name(0)} (torch {torch.__version__})"
    return f"CPU with {os.cpu_count()} cores, no GPU that torch {torch.__version__} could use"


def _is_from(name: str, since: str) -> bool:
    installed = version(name)
    return installed is not None and satisfies(installed, f">={since}")
