"""Recipes by name: ``--recipe=citeulike/MKD-neighbours`` is ``properties/recipe/citeulike/MKD-neighbours.yaml``."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_kd.config.key_files import PROPERTIES
from recbole_kd.config.schema import method_names
from recbole_kd.config.yaml_loader import read_yaml
from recbole_kd.errors import KDError, did_you_mean

RECIPES = PROPERTIES / "recipe"
_NUMBERS = {"three": 3, "five": 5, "six": 6}
_STUDENT_UNDER = re.compile(
    r"for an? (?P<student>\w+ \d+) under (?:an? (?:tuned )?(?P<teacher>\w+ \d+)|(?P<number>three|five) unlike teachers)"
)
_TEACHERS_TO_STUDENT = re.compile(r"(?P<number>three|five|six) teachers -> (?P<student>\w+ \d+)")
_WIDTHS = re.compile(r"(?P<model>\w+) (?P<teacher>\d+) <?-> (?P<student>\d+)")
_DATASET_KEY = re.compile(r"--dataset=([\w-]+)")
_DATASET = re.compile(r"\bon ([A-Z][\w-]*)")
_VALIDATION = re.compile(r"on validation of seed \d: (0\.\d+)")


@dataclass(frozen=True)
class Recipe:
    """A recipe's name and what the comment at the top of its file says; empty where it does not.

    Attributes:
        name: ``group/name``.
        method: the method that the name begins with, or empty: such a recipe holds what several methods share.
        dataset: the dataset that it was made for.
        student: the student's model and width.
        teacher: the teacher's model and width, or the number of teachers.
        validation: the score on validation that it reached.
    """

    name: str
    method: str = ""
    dataset: str = ""
    student: str = ""
    teacher: str = ""
    validation: str = ""


def recipe_files() -> dict[str, Path]:
    """The files of all recipes by name, ``group/name``."""
    return {f"{file.parent.name}/{file.stem}": file for file in sorted(RECIPES.glob("*/*.yaml"))}


def split_recipe_names(value: Any) -> list[str]:
    """The names in a value of the key ``recipe``: one, several separated by commas, or a list; none where None.

    Raises:
        KDError: the value is something else.
    """
    if value is None or value == "None":
        return []
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) and name.strip() for name in names):
        raise KDError(f"recipe={value!r} is out of range: it takes a recipe's name, or several separated by commas")
    return [name.strip() for name in names]


def find_recipe(name: str) -> str:
    """The full name, ``group/name``, of a recipe; the group may be left out where only one group has the name.

    Raises:
        KDError: no recipe has the name, or several groups have it.
    """
    files = recipe_files()
    if name in files:
        return name
    matches = [full for full in files if full.partition("/")[2] == name]
    if len(matches) > 1:
        raise KDError(f"the recipe '{name}' is in several groups: write one of {', '.join(matches)}")
    if not matches:
        hint = did_you_mean(name, files) or did_you_mean(name, {full.partition("/")[2] for full in files})
        raise KDError(f"unknown recipe '{name}'{hint or ': --list-recipes prints them all'}")
    return matches[0]


def read_recipe(name: str) -> dict[str, Any]:
    """The keys that a recipe sets, by its full name."""
    return read_yaml(recipe_files()[name], "recipe")


def recipe_method(name: str) -> str | None:
    """The method that a recipe's file name begins with; None for a recipe that several methods share."""
    method = name.partition("/")[2].partition("-")[0]
    return method if method in method_names() else None


def method_of_recipes(value: Any) -> str | None:
    """The method of the last recipe that names one, for a value of the key ``recipe``. Raises KDError."""
    methods = [recipe_method(find_recipe(name)) for name in split_recipe_names(value)]
    return next((method for method in reversed(methods) if method), None)


def list_recipes() -> list[Recipe]:
    """All recipes, with what the comments at the top of their files say."""
    return [_describe(name, file) for name, file in recipe_files().items()]


def _describe(name: str, file: Path) -> Recipe:
    lines = file.read_text(encoding="utf-8").splitlines()
    comment = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    student, teacher = _models_in(comment)
    dataset = _DATASET_KEY.search(comment) or _DATASET.search(comment)
    validation = _VALIDATION.search(comment)
    return Recipe(
        name,
        recipe_method(name) or "",
        dataset[1] if dataset else "",
        student,
        teacher,
        validation[1] if validation else "",
    )


def _models_in(comment: str) -> tuple[str, str]:
    """The student and the teacher that a comment names, empty where it names none."""
    if match := _WIDTHS.search(comment):
        return f"{match['model']} {match['student']}", f"{match['model']} {match['teacher']}"
    if match := _TEACHERS_TO_STUDENT.search(comment):
        return match["student"], f"{_NUMBERS[match['number']]} teachers"
    if match := _STUDENT_UNDER.search(comment):
        number = match["number"]
        return match["student"], f"{_NUMBERS[number]} teachers" if number else match["teacher"]
    return "", ""
