"""Blocks of pages: find them, make them anew, compare."""

import re
import shlex
from pathlib import Path

from tools.docs.blocks import BLOCKS

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"(?P<marker><!-- (?:table: (?P<table>.+?)|text: (?P<text>.+?)) -->\n\n)"
    r"(?:(?(table)(?:\|.*\n)*|(?:[^\n<].*\n)*))"
)


def pages() -> list[Path]:
    """README.md and the pages of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def make_block(words: str) -> str:
    """The block that a marker names: its function's name, then names of result files and ``option=value``.

    Raises:
        ValueError: no function has that name.
    """
    name, *arguments = shlex.split(words)
    if name not in BLOCKS:
        raise ValueError(f"no block is called '{name}': tools/docs/blocks.py has {', '.join(sorted(BLOCKS))}")
    options = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    return BLOCKS[name](*(argument for argument in arguments if "=" not in argument), **options)


def fill(text: str) -> str:
    """A page's text with its blocks made anew."""
    return BLOCK.sub(lambda match: match["marker"] + make_block(match["table"] or match["text"]) + "\n", text)


def filled_pages() -> dict[str, str]:
    """Each page that has blocks, with its blocks made anew, by its path from the root."""
    texts = {page: page.read_text(encoding="utf-8") for page in pages()}
    return {str(page.relative_to(ROOT)): fill(text) for page, text in texts.items() if BLOCK.search(text)}


def write_changed(contents: dict[str, str], write: bool) -> list[str]:
    """The names of the files whose content differs from these; with ``write`` they are written."""
    changed = []
    for name, content in contents.items():
        file = ROOT / name
        if not file.is_file() or file.read_text(encoding="utf-8") != content:
            changed.append(name)
            if write:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content, encoding="utf-8")
    return changed
