"""The files of a search: a JSON file of its trials, from which it continues, and the recipe of the best trial."""

import shlex
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

import yaml

from recbole_kd.config.layering import SIDES, Layers
from recbole_kd.config.parsing import PATH_KEYS, parse_value
from recbole_kd.config.schema import method_keys
from recbole_kd.config.teacher_entries import entries_to_keys
from recbole_kd.errors import KDError
from recbole_kd.io import atomic_write, read_json, read_record, write_record
from recbole_kd.trainer.cache_key import NEUTRAL_KEYS
from recbole_kd.tune.space import Space, recipe_content, side_label
from recbole_kd.tune.trial_checks import are_trials
from recbole_kd.tune.types import Trial

# keys that decide where and how the search runs: neither its command nor the recipe holds them
EXECUTION_KEYS = NEUTRAL_KEYS - {"data_path", "metrics", "topk", "teacher_path", "teacher_check"}
RUN_KEYS = ("data_path", "seed")  # keys that a complete recipe leaves to the command line


class SearchRecord:
    """The trials of one search, written to disk after each trial.

    Args:
        recipe: path of the recipe; the trials are written beside it, with the suffix .json.
        search: what was requested, as plain values; ``key`` is a hash of everything that decides the trials.
        space: the search space, in which the trials of an earlier call have to lie; None: not checked.

    Attributes:
        recipe: path of the recipe.
        file: path of the JSON file.
        search: what was requested.
        trials: the trials so far.

    Raises:
        KDError: one of the files exists and does not belong to this search, or its trials are damaged.
    """

    def __init__(self, recipe: Path | str, search: dict[str, Any], space: Space | None = None) -> None:
        self.recipe, self.file = Path(recipe), Path(recipe).with_suffix(".json")
        self.search = search
        self.trials: list[Trial] = []
        if self.file.exists():
            content = _read(self.file)
            if content is None or content["search"].get("key") != search["key"]:
                raise _foreign_file(self.file)
            if read_record(self.file) is None or not are_trials(content["trials"], search, space):
                raise KDError(
                    f"the trials in '{self.file}' are damaged: remove it to search anew, or give another --output"
                )
            self.trials = content["trials"]
            self.search = {**content["search"], **search}
        elif self.recipe.exists():
            raise _foreign_file(self.recipe)

    def set_teacher(self, teacher: str) -> None:
        """Store the name of the teacher. Raises KDError: the earlier trials had another teacher."""
        if self.search.setdefault("teacher", teacher) != teacher:
            raise KDError(f"the trials in '{self.file}' had another teacher: give another --output")

    def add(self, trial: Trial) -> None:
        """Append a trial that has ended, and write the JSON file."""
        self.trials.append(trial)
        best = self.best and self.best["number"]
        write_record(self.file, {"search": self.search, "best": best, "trials": self.trials})

    @property
    def best(self) -> Trial | None:
        """The finished trial with the best validation score, the first of several; None if no trial has finished."""
        sign = 1 if self.search["bigger"] else -1
        finished = [trial for trial in self.trials if trial["state"] == "finished"]
        return max(finished, key=lambda trial: sign * (trial["value"] or 0.0), default=None)

    @property
    def seconds(self) -> float:
        """The duration of all trials together."""
        return sum(trial["seconds"] for trial in self.trials)

    def write_recipe(self) -> None:
        """Write the settings of the best trial as a YAML file for run_kd. Raises KDError: no trial has finished."""
        best = self.best
        if best is None:
            raise KDError(f"no trial in '{self.file}' has finished: there is no recipe to write")
        content = merge_keys(self.search["keys"], recipe_content(self.search["side"], best["settings"]))
        header = "".join(f"# {' '.join(line.splitlines())}\n" for line in self._header(best))
        atomic_write(self.recipe, (header + yaml.safe_dump(content, sort_keys=False)).encode())

    def _header(self, best: Trial) -> Iterator[str]:
        search, first = self.search, self.trials[0]
        default = f"{first['value']:.4f}" if first["state"] == "finished" else "none, the loss was not finite"
        tuned = side_label(search["side"], search["method"])
        yield f"{tuned} on {search['dataset']}, tuned on validation: seed {search['seed']}, {len(self.trials)} trials."
        yield (
            f"Validation {search['valid_metric']}: {best['value']:.4f}; of the default settings: {default}. "
            f"All trials: {self.file.name}."
        )
        yield search["command"]
        yield f"{search['run']} {shlex.quote(f'--config_files={self.recipe}')}"


def _foreign_file(file: Path) -> KDError:
    return KDError(f"'{file}' exists and is not of this search: remove it or give another --output")


def _read(file: Path) -> dict[str, Any] | None:
    """The content of a search's JSON file; None if the file is anything else."""
    content = read_json(file)
    if not isinstance(content, dict):
        return None
    return content if isinstance(content.get("search"), dict) and isinstance(content.get("trials"), list) else None


def user_keys(layers: Layers, unused: Container[str]) -> dict[str, Any]:
    """The keys that the user has set, from all layers, as a recipe holds them: plain keys and the blocks of the sides.

    Args:
        layers: the user's Layers.
        unused: keys that change nothing, those of a block as ``teacher.key``. They are left out, because a command
            line with them is refused.
    """
    keys = entries_to_keys(layers.teachers)
    if layers.student_model != method_keys(layers.method)["student_model"].default:
        keys["student_model"] = layers.student_model
    keys |= {key: value for key, value in layers.plain.items() if key not in EXECUTION_KEYS and key not in unused}
    for side, block in layers.blocks.items():
        used = {
            key: value for key, value in block.items() if key not in EXECUTION_KEYS and f"{side}.{key}" not in unused
        }
        keys |= {side: used} if used else {}
    return keys


def merge_keys(keys: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """A recipe's keys, overridden by others; blocks are merged key by key.

    >>> merge_keys({"epochs": 2, "teacher": {"seed": 1}}, {"sld_tau": 2.0, "teacher": {"learner": "adam"}})
    {'epochs': 2, 'teacher': {'seed': 1, 'learner': 'adam'}, 'sld_tau': 2.0}
    """
    blocks = {side: {**keys[side], **content.get(side, {})} for side in SIDES if side in keys}
    return {**keys, **content, **blocks}


def command_line(layers: Layers, keys: dict[str, Any], *words: str, **options: Any) -> str:
    """A command line of run_kd.py.

    Args:
        layers: the user's Layers, for the method and the dataset.
        keys: keys as ``user_keys`` returns them.
        words: words before the keys.
        options: options after the keys; those that are None are left out.
    """
    flat = {"model": layers.method, "dataset": layers.dataset}
    flat |= {key: value for key, value in keys.items() if key not in SIDES}
    flat |= {f"{side}.{key}": value for side in SIDES for key, value in keys.get(side, {}).items()}
    flat |= {key: value for key, value in options.items() if value is not None}
    written = (shlex.quote(f"--{key}={_as_word(key, value)}") for key, value in flat.items())
    return " ".join(["python run_kd.py", *words, *written])


def _as_word(key: str, value: Any) -> str:
    """A value as a command line has it: a text that would be read as another value, such as '1e3', is in quotes."""
    text = str(value)
    is_text = isinstance(value, str) and key not in PATH_KEYS
    return repr(value) if is_text and (parse_value(key, text) != value or not text.isprintable()) else text
