"""Methods of other packages: added by a call, or found through entry points."""

import sys
from pathlib import Path

import pytest

from recbole_kd.cli import main
from recbole_kd.config import plugins
from recbole_kd.config.layering import read_layers
from recbole_kd.config.plugins import MethodPlugin, add_method, broken_entry_points, find_broken_plugins, method_plugins
from recbole_kd.config.schema import describe_method, kd_keys, method_keys, method_names, space_file, term_names
from recbole_kd.errors import KDError
from tests.processes import run_code

REPO = Path(__file__).resolve().parents[2]
YAML = """# Push: the student's scores are pushed towards the teacher's.
# Paper: none.
# Sure: high, there is nothing to reconstruct.
push_weight: 0.5  # (float) [0, inf) Weight of the term.
push_k: 5         # (int) [1, inf) Items a user.
"""
MODULE = """from recbole_kd.term.base import Term

class Push(Term):
    layer = "output"

class Other(Term):
    layer = "output"

class NoTerm:
    pass
"""


class Push:
    """Stands for a subclass of Term: this room does not look at the class that add_method is given."""


@pytest.fixture(autouse=True)
def own_methods(monkeypatch):
    """The methods that a test adds are gone after it."""
    monkeypatch.setattr(plugins, "_added", {})
    plugins.clear_caches()
    yield
    monkeypatch.undo()
    plugins.clear_caches()
    for name in [name for name in sys.modules if name.partition(".")[0] == "push_package"]:
        del sys.modules[name]


@pytest.fixture
def plugin(tmp_path):
    (tmp_path / "Push.yaml").write_text(YAML)
    return MethodPlugin("Push", Push, tmp_path / "Push.yaml")


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Make a package importable whose metadata has these entry points, as an installed one has."""

    def make(entry_points, module=MODULE, yaml=YAML, package="push_package", name="Push"):
        site = tmp_path / f"site-{package}"
        (site / package / "inner").mkdir(parents=True)
        (site / package / "__init__.py").write_text("from recbole_kd import Term  # as a package may\n")
        (site / package / "inner" / "__init__.py").write_text("")
        (site / package / "inner" / "terms.py").write_text(module)
        if yaml is not None:
            (site / package / "inner" / f"{name}.yaml").write_text(yaml)
        metadata = site / f"{package}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[recbole_kd.methods]\n{entry_points}\n")
        monkeypatch.syspath_prepend(site)
        plugins.clear_caches()
        return site

    return make


# Added by a call


def test_an_added_method_has_a_name_keys_and_a_description(plugin):
    assert "Push" not in method_names() and "push_k" not in kd_keys()  # both are cached from here on
    add_method(plugin)
    assert "Push" in method_names() and method_names() == sorted(method_names())
    assert "push_k" in kd_keys()
    assert term_names("Push") == ("Push",)
    assert method_keys("Push")["push_weight"].default == 0.5
    assert describe_method("Push") == (
        "the student's scores are pushed towards the teacher's.",
        "none.",
        "high, there is nothing to reconstruct.",
    )
    assert method_plugins()["Push"].target is Push


def test_its_keys_are_read_from_every_layer(plugin):
    with pytest.raises(KDError, match="unknown key 'push_k'"):
        read_layers("MKD", "toy", argv=["--push_k=3"])
    add_method(plugin)
    layers = read_layers("Push", "toy", argv=["--push_k=3"])
    assert (layers.method, layers.plain) == ("Push", {"push_k": 3})
    with pytest.raises(KDError, match=r"unknown key 'pushk'.*did you mean 'push_k'"):
        read_layers("Push", "toy", argv=["--pushk=3"])


def test_its_space_is_found_where_it_has_one(plugin, tmp_path):
    add_method(plugin)
    assert not space_file("Push").is_file()
    (tmp_path / "Push.space.yaml").write_text("push_k: {5, 10}\n")
    add_method(MethodPlugin("Push", Push, plugin.method_yaml, tmp_path / "Push.space.yaml"))
    assert space_file("Push") == tmp_path / "Push.space.yaml"
    assert space_file("MKD").is_file() and space_file("alone").is_file()
    with pytest.raises(KDError, match="the space of the method 'Push' is missing"):
        add_method(MethodPlugin("Push", Push, plugin.method_yaml, tmp_path / "nowhere.yaml"))


def test_added_again_it_is_replaced_by_what_its_file_holds_now(plugin):
    add_method(plugin)
    plugin.method_yaml.write_text(YAML.replace("push_k: 5", "push_n: 7"))
    add_method(plugin)
    assert method_keys("Push")["push_n"].default == 7
    assert "push_k" not in kd_keys()


@pytest.mark.parametrize(
    ("name", "words"),
    [("MKD", "taken by a method of recbole_kd"), ("BPR", "taken by a RecBole model"), ("a-b", "not a Python ident")],
)
def test_a_name_that_is_taken_is_refused(name, words, plugin):
    with pytest.raises(KDError, match=f"'{name}' is {words}"):
        add_method(MethodPlugin(name, Push, plugin.method_yaml))
    assert not method_plugins()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read: No such file"),
        ("push_k: 5\n", "lacks a comment of the form"),
        ("push_k: [5\n", "is not YAML"),
        ("- push_k\n", "does not hold 'key: value' lines"),
    ],
)
def test_a_method_whose_keys_cannot_be_read_is_refused(text, words, tmp_path):
    file = tmp_path / "Push.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(KDError, match=words):
        add_method(MethodPlugin("Push", Push, file))
    assert "Push" not in method_names()


# Entry points


def test_an_entry_point_is_a_method_whose_module_is_imported_when_it_is_used(install):
    site = install("Push = push_package.inner.terms:Push")
    assert "Push" in method_names() and "push_k" in kd_keys()
    assert method_plugins()["Push"].method_yaml == site / "push_package" / "inner" / "Push.yaml"
    assert "push_package" not in sys.modules
    assert not method_plugins()["Push"].is_loaded
    target = method_plugins()["Push"].target
    assert target.__name__ == "Push" and sys.modules["push_package.inner.terms"].Push is target
    assert not find_broken_plugins()


def test_its_space_lies_beside_its_module(install):
    site = install("Push = push_package.inner.terms:Push")
    assert not space_file("Push").is_file()
    (site / "push_package" / "inner" / "Push.space.yaml").write_text("push_k: {5, 10}\n")
    plugins.clear_caches()
    assert space_file("Push") == site / "push_package" / "inner" / "Push.space.yaml"


BROKEN = [
    ("Push = push_package.inner.nowhere:Push", {}, "there is no module 'push_package.inner.nowhere'"),
    ("Push = nowhere.terms:Push", {}, "there is no module 'nowhere.terms'"),
    ("Push = push_package.inner.terms:Push", {"yaml": None}, "Push.yaml', which cannot be read"),
    ("Push = push_package.inner.terms:Push", {"yaml": "push_k: 5\n"}, "lacks a comment"),
    ("BPR = push_package.inner.terms:Push", {"name": "BPR"}, "taken by a RecBole model"),
]


@pytest.mark.parametrize(("entry_points", "files", "words"), BROKEN)
def test_one_that_cannot_be_found_is_named_where_that_method_is_requested(entry_points, files, words, install):
    install(entry_points, **files)
    name = entry_points.partition(" ")[0]
    assert name not in method_names()
    assert read_layers("MKD", "toy").method == "MKD"  # nobody else is disturbed
    with pytest.raises(KDError) as caught:
        read_layers(name, "toy")
    message = str(caught.value)
    assert words in message and entry_points in message and "of push_package" in message
    assert broken_entry_points() == {name: message}


def test_one_with_the_name_of_ours_changes_nothing(install):
    ours = method_keys("MKD")
    install("MKD = push_package.inner.terms:Push", name="MKD")
    assert method_keys("MKD") == ours and "MKD" in method_names()
    assert "taken by a method of recbole_kd" in broken_entry_points()["MKD"]


LOADED_IN_VAIN = [
    ("Push = push_package.inner.terms:Push", "raise RuntimeError('out of\\norder')", "RuntimeError: out of order"),
    ("Push = push_package.inner.terms:Nobody", MODULE, "AttributeError"),
    ("Push = push_package.inner.terms:NoTerm", MODULE, "is not a subclass of Term or Distiller"),
    ("Push = push_package.inner.terms:Other", MODULE, "a class called Other"),
]


@pytest.mark.parametrize(("entry_points", "module", "words"), LOADED_IN_VAIN)
def test_one_that_cannot_be_loaded_is_named_when_it_is_loaded(entry_points, module, words, install):
    install(entry_points, module)
    assert "Push" in method_names()
    with pytest.raises(KDError) as caught:
        _ = method_plugins()["Push"].target
    message = str(caught.value)
    assert words in message and entry_points in message and "of push_package" in message and "\n" not in message
    assert find_broken_plugins() == {"Push": message}


def test_the_list_warns_of_it_and_names_the_others(install, capsys, caplog):
    install("Push = push_package.inner.terms:Push", "raise RuntimeError('out of order')")
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert "| MKD " in printed and "| Push " not in printed
    [record] = caplog.records
    assert record.levelname == "WARNING" and "push_package.inner.terms:Push" in record.getMessage()


def test_two_packages_with_one_name_keep_the_first_and_name_the_second(install):
    install("Push = push_package.inner.terms:Push")
    install("Push = push_second.inner.terms:Push", package="push_second")
    assert "Push" in method_names()
    assert "another package has a method 'Push' too" in broken_entry_points()["Push"]


@pytest.mark.parametrize("first", ["push_package.inner.terms", "recbole_kd"])
def test_a_package_may_import_recbole_kd_first_or_be_imported_after_it(first, install, tmp_path):
    site = install("Push = push_package.inner.terms:Push")
    code = f"import {first}, push_package.inner.terms, recbole_kd; assert 'Push' in recbole_kd.method_names()"
    exit_code, errors = run_code(code, tmp_path, site, REPO)
    assert exit_code == 0, errors
