"""Methods of other packages: added by a call, or found through the entry-point group ``recbole_kd.methods``.

An entry point has the method's name and names a class of the same name, a Term or a Distiller::

    [project.entry-points."recbole_kd.methods"]
    MyKD = "my_package.my_kd:MyKD"

Its keys are in ``MyKD.yaml`` beside the module, what ``tune`` searches in ``MyKD.space.yaml``, which may be missing.
The module is imported when the method is used, not when the methods are listed: it may import recbole_kd itself.
"""

import functools
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import yaml

from recbole_kd.config.key_files import PROPERTIES, read_keys
from recbole_kd.config.recbole_files import is_recbole_model
from recbole_kd.errors import KDError

GROUP = "recbole_kd.methods"
# the classes are of rooms above this one, so they are recognised by their names
BASE_CLASSES = (("recbole_kd.term.base", "Term"), ("recbole_kd.method.distiller", "Distiller"))

_added: dict[str, "MethodPlugin"] = {}
_caches: list[Any] = [read_keys]


@dataclass(frozen=True)
class MethodPlugin:
    """A method of another package.

    Attributes:
        name: what ``--model=`` takes.
        source: a subclass of Term or Distiller, or the entry point that names one.
        method_yaml: the method's keys, in the form of ours.
        space_yaml: what ``tune`` searches, or None.
    """

    name: str
    source: type | EntryPoint
    method_yaml: Path
    space_yaml: Path | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether the class is known without an import of its module."""
        return isinstance(self.source, type)

    @property
    def target(self) -> type:
        """The class; an entry point's module is imported. Raises KDError where that fails."""
        return self.source if isinstance(self.source, type) else _load_class(self.source)


def cache_until_method_added(function: Callable[..., Any]) -> Callable[..., Any]:
    """``functools.cache`` for what depends on the methods that exist: ``add_method`` clears it."""
    cached = functools.cache(function)
    _caches.append(cached)
    return cached


def clear_caches() -> None:
    """Forget everything that depends on the methods that exist, the entry points too."""
    for cached in _caches:
        cached.cache_clear()


def add_method(plugin: MethodPlugin) -> None:
    """Make a method of another package known. Adding a method again replaces it.

    Raises:
        KDError: its name is taken by one of our methods or by a RecBole model, or its YAML file cannot be used.
    """
    _check_plugin(plugin)
    _added[plugin.name] = plugin
    clear_caches()


def method_plugins() -> dict[str, MethodPlugin]:
    """The methods of other packages by name. No module of theirs is imported."""
    return {**_entry_point_plugins()[0], **_added}


def broken_entry_points() -> dict[str, str]:
    """The entry points that cannot be used, by name, each with a sentence. No module of theirs is imported."""
    return _entry_point_plugins()[1]


def find_broken_plugins() -> dict[str, str]:
    """The same, after an attempt to import every module."""
    broken = dict(broken_entry_points())
    for name, plugin in method_plugins().items():
        try:
            _ = plugin.target
        except KDError as error:
            broken[name] = str(error)
    return broken


@cache_until_method_added
def _entry_point_plugins() -> tuple[dict[str, MethodPlugin], dict[str, str]]:
    plugins: dict[str, MethodPlugin] = {}
    broken: dict[str, str] = {}
    for entry_point in sorted(entry_points(group=GROUP), key=lambda entry_point: entry_point.name):
        name = entry_point.name
        try:
            if name in plugins and plugins[name].source != entry_point:
                raise KDError(f"another package has a method '{name}' too")
            plugin = _plugin_of(entry_point)
            _check_plugin(plugin)
        except KDError as error:
            broken[name] = f"{_describe(entry_point)} cannot be used: {error}"
        else:
            plugins[name] = plugin
    return plugins, broken


def _plugin_of(entry_point: EntryPoint) -> MethodPlugin:
    """The plugin of an entry point, its files found without importing anything of the package."""
    file = _module_file(entry_point.module)
    if file is None:
        raise KDError(f"there is no module '{entry_point.module}'")
    space_file = file.with_name(f"{entry_point.name}.space.yaml")
    return MethodPlugin(
        entry_point.name,
        entry_point,
        file.with_name(f"{entry_point.name}.yaml"),
        space_file if space_file.is_file() else None,
    )


def _module_file(module: str) -> Path | None:
    """The file of a module. ``importlib.util.find_spec`` alone would import the packages above it."""
    first, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(first)
        name = first
        for part in rest:
            if spec is None or spec.submodule_search_locations is None:
                return None
            name = f"{name}.{part}"
            spec = PathFinder.find_spec(name, list(spec.submodule_search_locations))
    except (ImportError, ValueError):  # a module without a spec, as __main__
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


def _check_plugin(plugin: MethodPlugin) -> None:
    name = plugin.name
    if not name.isidentifier():
        raise KDError(f"the method name '{name}' is not a Python identifier")
    if (PROPERTIES / "method" / f"{name}.yaml").is_file():
        raise KDError(f"the method name '{name}' is taken by a method of recbole_kd: choose another one")
    if is_recbole_model(name):
        raise KDError(f"the method name '{name}' is taken by a RecBole model: choose another one")
    try:
        read_keys(plugin.method_yaml)
    except OSError as error:
        raise KDError(
            f"the method '{name}' needs its keys in '{plugin.method_yaml}', which cannot be read: {error.strerror}"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise KDError(f"'{plugin.method_yaml}' is not YAML: {' '.join(str(error).split())}") from error
    if plugin.space_yaml is not None and not plugin.space_yaml.is_file():
        raise KDError(f"the space of the method '{name}' is missing: there is no file '{plugin.space_yaml}'")


def _load_class(entry_point: EntryPoint) -> type:
    try:
        target = entry_point.load()
    except Exception as error:  # a module may fail with anything while it is imported
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise KDError(f"{_describe(entry_point)} cannot be loaded ({reason})") from error
    bases = getattr(target, "__mro__", ())
    if not any((base.__module__, base.__name__) in BASE_CLASSES for base in bases):
        raise KDError(f"{_describe(entry_point)} is not a subclass of Term or Distiller")
    if target.__name__ != entry_point.name:
        raise KDError(f"{_describe(entry_point)} names a class called {target.__name__}: both need the same name")
    return target


def _describe(entry_point: EntryPoint) -> str:
    package = entry_point.dist.name if entry_point.dist is not None else "an unknown package"
    return f"the entry point '{entry_point.name} = {entry_point.value}' of {package}"
