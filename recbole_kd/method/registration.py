"""Makes methods known: ours to RecBole, so that ``get_model('MKD')`` finds them, and other packages' to both."""

import inspect
from pathlib import Path

from recbole_kd.config.plugins import MethodPlugin, add_method
from recbole_kd.errors import KDError
from recbole_kd.method.distiller import Distiller
from recbole_kd.method.recbole_entries import enter_methods
from recbole_kd.term.base import Term


def register() -> None:
    """Make every method known to RecBole. Safe to call again."""
    enter_methods()


def register_method(
    target: type[Term] | type[Distiller], yaml: str | Path | None = None, space: str | Path | None = None
) -> None:
    """Make a method of another package known: afterwards ``--model=`` and ``run_kd`` take its class's name.

    A package can do the same without a call, by an entry point of the group ``recbole_kd.methods`` that names the
    class.

    Args:
        target: a Term, which becomes a method of its own, or a Distiller whose YAML names its ``terms``.
        yaml: its keys, in the form of ours (CONTRIBUTING.md); ``<Name>.yaml`` beside the class's module where None.
        space: what ``tune`` searches; ``<Name>.space.yaml`` beside the module where None and that file is there.

    Raises:
        KDError: another kind of object, a name that is taken, a YAML file that is missing or describes a key nowhere.
    """
    if not (isinstance(target, type) and issubclass(target, (Term, Distiller))):
        raise KDError(f"register_method takes a subclass of Term or Distiller, not {target!r}")
    name, folder = target.__name__, Path(inspect.getfile(target)).parent
    default_space = folder / f"{name}.space.yaml"
    space_file = Path(space) if space is not None else default_space if default_space.is_file() else None
    add_method(MethodPlugin(name, target, Path(yaml or folder / f"{name}.yaml"), space_file))
    register()
