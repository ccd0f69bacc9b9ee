"""Print docs/keys.md, from the YAML files: ``python docs/keys.py > docs/keys.md``."""

import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from recbole_kd.config.schema import PROPERTIES, explain_keys, method_names
from recbole_kd.report import key_grid

HEAD = """# Keys

Every key of every method, as `--model=X --explain` prints them. Made by `python docs/keys.py > docs/keys.md`.
"""


def page():
    """The whole page."""
    shared = [row for row in explain_keys("Distiller") if row[0] != "terms"]
    parts = [HEAD, "## Shared by all\n", key_grid(shared)]
    for method in method_names():
        own = yaml.safe_load((PROPERTIES / "model" / f"{method}.yaml").read_text(encoding="utf-8"))
        parts += [f"\n## {method}\n", key_grid([row for row in explain_keys(method) if row[0] in own])]
    return "\n".join(parts)


if __name__ == "__main__":
    print(page())
