"""The versions of the packages that a result was made with."""

import platform

import numpy as np
import recbole
import torch

from recbole_kd._version import __version__


def versions() -> dict[str, str]:
    """The version of each package that decides a result, and of Python, by name."""
    return {
        "recbole_kd": __version__,
        "recbole": recbole.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
