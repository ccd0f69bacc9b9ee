"""Where RecBole keeps its properties and its models."""

import re
from pathlib import Path

import recbole

RECBOLE = Path(recbole.__file__).parent
RECBOLE_PROPERTIES = RECBOLE / "properties"


def is_recbole_model(name: object) -> bool:
    """Whether RecBole defines a model class of this very name. Nothing is imported."""
    if not isinstance(name, str) or not name.isidentifier():
        return False
    files = (RECBOLE / "model").glob(f"*_recommender/{name.lower()}.py")
    return any(f"class {name}(" in file.read_text(encoding="utf-8") for file in files)


def top_level_keys(path: Path) -> set[str]:
    """The top-level keys of a YAML file."""
    return set(re.findall(r"^(\w+)\s*:", path.read_text(encoding="utf-8"), re.M))
