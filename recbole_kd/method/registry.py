"""Method classes by name."""

import functools

from recbole_kd.method import composed
from recbole_kd.method.distiller import Distiller


@functools.cache
def method_class(name):
    """The RecBole model class of a method: one of composed.py's, or a Distiller of the one term of that name."""
    if hasattr(composed, name):
        return getattr(composed, name)
    return type(name, (Distiller,), {"__module__": __name__, "__doc__": f"{name} alone, as a method."})
