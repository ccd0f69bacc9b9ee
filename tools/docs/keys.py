"""docs/keys.md: every key of every method, from the YAML files."""

import yaml

from recbole_kd.config.schema import PROPERTIES, explain_keys, method_names
from recbole_kd.report import key_grid

HEAD = """# Keys

Every key of every method, as `--model=X --explain` prints them. Made by `python -m tools.docs`.
"""


def page() -> str:
    """The whole page."""
    shared = [row for row in explain_keys("Distiller") if row[0] != "terms"]
    sections = [HEAD, "## Shared by all\n", key_grid(shared)]
    for method in method_names():
        names = yaml.safe_load((PROPERTIES / "method" / f"{method}.yaml").read_text(encoding="utf-8"))
        sections += [f"\n## {method}\n", key_grid([row for row in explain_keys(method) if row[0] in names])]
    return "\n".join(sections) + "\n"
