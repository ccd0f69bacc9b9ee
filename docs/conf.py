"""Sphinx configuration of the documentation: ``sphinx-build -W docs build/docs``."""

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import recbole_kd  # of this checkout

project = "recbole_kd"
author = "The recbole_kd developers"
copyright = "2026, the recbole_kd developers"  # Sphinx's name
release = version = recbole_kd.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["conf.py"]
html_theme = "furo"
html_title = f"recbole_kd {release}"
myst_enable_extensions = ["attrs_inline", "dollarmath"]
myst_heading_anchors = 4  # links to titles, as GitHub has them
napoleon_google_docstring = True
napoleon_numpy_docstring = False
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
suppress_warnings = ["myst.header"]  # pages that begin with an included file
REPOSITORY_LINK = re.compile(r"\[([^]]+)\]\(\.\./([^)#]+)[^)]*\)")


def name_repository_files(app: Any, page: str, source: list[str]) -> None:
    """Turn links to files that the site does not hold into the files' paths in the repository."""
    source[0] = REPOSITORY_LINK.sub(r"\1 (`\2` in the repository)", source[0])


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect("source-read", name_repository_files)
