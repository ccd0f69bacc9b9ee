"""Method classes by name: ours, and those of other packages."""

from recbole_kd.config.plugins import method_plugins
from recbole_kd.method import composed
from recbole_kd.method.distiller import Distiller

_classes: dict[tuple[str, type | None], type[Distiller]] = {}


def method_class(name: str) -> type[Distiller]:
    """The RecBole model class of a method.

    A composed method has a class of its own; every other one is a Distiller of the one term of its name.
    """
    plugin = method_plugins().get(name)
    target = plugin.target if plugin else getattr(composed, name, None)
    key = (name, target)  # the same class each time, as RecBole expects, until a plugin of the name changes
    if key not in _classes:
        if isinstance(target, type) and issubclass(target, Distiller):
            _classes[key] = target
        else:
            attributes = {"__module__": __name__, "__doc__": f"{name} alone, as a method."}
            _classes[key] = type(name, (Distiller,), attributes)
    return _classes[key]
