"""What a search leaves: a JSON file of its trials, from which it goes on, and the recipe of the best one."""

import json
import shlex
from pathlib import Path

import yaml

from recbole_kd.config.layering import SIDES
from recbole_kd.config.schema import method_keys
from recbole_kd.config.teacher_entries import entries_to_keys
from recbole_kd.errors import KDError
from recbole_kd.io import atomic_write
from recbole_kd.trainer.cache_key import NEUTRAL_KEYS
from recbole_kd.tune.space import content_of

# keys that say where and how the search ran: neither its command nor the recipe has them
ELSEWHERE = NEUTRAL_KEYS - {"data_path", "metrics", "topk", "teacher_path", "teacher_check"}
OF_THE_RUN = ("data_path", "seed")  # what a whole recipe leaves to the command line


class SearchRecord:
    """The trials of one search, on disk after each.

    Args:
        recipe: where the recipe goes; the trials go beside it, with the suffix .json.
        search: what was asked for: plain values, ``key`` among them, which stands for all that decides the trials.

    Attributes:
        trials: the trials so far.

    Raises:
        KDError: one of the files is there and is not of this search.
    """

    def __init__(self, recipe, search):
        self.recipe, self.file = Path(recipe), Path(recipe).with_suffix(".json")
        self.search, self.trials = search, []
        if self.file.exists():
            content = _read(self.file)
            if content is None or content["search"].get("key") != search["key"]:
                raise KDError(f"'{self.file}' is there and is not of this search: remove it or give another --output")
            self.trials = content["trials"]
            self.search = {**content["search"], **search}
        elif self.recipe.exists():
            raise KDError(f"'{self.recipe}' is there and is not of this search: remove it or give another --output")

    def set_teacher(self, teacher):
        """Note the name of the teacher. Raises KDError where the trials were taught by another."""
        if self.search.setdefault("teacher", teacher) != teacher:
            raise KDError(f"the trials in '{self.file}' had another teacher: give another --output")

    def add(self, trial):
        """Enter a trial that has ended."""
        self.trials.append(trial)
        content = {"search": self.search, "best": self.best and self.best["number"], "trials": self.trials}
        atomic_write(self.file, (json.dumps(content, indent=1) + "\n").encode())

    @property
    def best(self):
        """The finished trial of the best validation score, the first of equals; None where none has finished."""
        sign = 1 if self.search["bigger"] else -1
        finished = [trial for trial in self.trials if trial["state"] == "finished"]
        return max(finished, key=lambda trial: sign * trial["value"], default=None)

    @property
    def seconds(self):
        """What the trials have taken together."""
        return sum(trial["seconds"] for trial in self.trials)

    def write_recipe(self):
        """Write the best trial's settings as a YAML file that run_kd takes."""
        content = overlay(self.search["keys"], content_of(self.search["side"], self.best["settings"]))
        text = "".join(f"# {' '.join(line.split())}\n" for line in self._head())
        atomic_write(self.recipe, (text + yaml.safe_dump(content, sort_keys=False)).encode())

    def _head(self):
        search, defaults = self.search, self.trials[0]
        by_default = f"{defaults['value']:.4f}" if defaults["state"] == "finished" else "none, the loss was not finite"
        tuned = {"method": search["method"], "alone": "the student alone", "teacher": "the teacher"}[search["side"]]
        yield f"{tuned} on {search['dataset']}, tuned on validation: seed {search['seed']}, {len(self.trials)} trials."
        yield (
            f"Validation {search['valid_metric']}: {self.best['value']:.4f}; of the default settings: {by_default}. "
            f"All trials: {self.file.name}."
        )
        yield search["command"]
        yield f"{search['run']} --config_files={self.recipe}"


def _read(file):
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return content if isinstance(content["search"], dict) and isinstance(content["trials"], list) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def requested_keys(layers, idle):
    """The user's own keys, wherever they came from, as a recipe has them, plain ones and the blocks of the sides.

    Those that change nothing are not among them: on a command line they would be refused.
    """
    keys = entries_to_keys(layers.teachers)
    if layers.student_model != method_keys(layers.method)["student_model"].default:
        keys["student_model"] = layers.student_model
    keys |= {key: value for key, value in layers.plain.items() if key not in ELSEWHERE and key not in idle}
    for side, block in layers.blocks.items():
        own = {key: value for key, value in block.items() if key not in ELSEWHERE and f"{side}.{key}" not in idle}
        keys |= {side: own} if own else {}
    return keys


def overlay(keys, content):
    """A recipe's keys with others on top, block by block."""
    blocks = {side: {**keys[side], **content.get(side, {})} for side in SIDES if side in keys}
    return {**keys, **content, **blocks}


def command(layers, keys, *words, **more):
    """A command line of run_kd.py with keys as of ``asked_keys``; ``words`` before, ``more`` after."""
    flat = {"model": layers.method, "dataset": layers.dataset}
    flat |= {key: value for key, value in keys.items() if key not in SIDES}
    flat |= {f"{side}.{key}": value for side in SIDES for key, value in keys.get(side, {}).items()}
    flat |= {key: value for key, value in more.items() if value is not None}
    return " ".join(["python run_kd.py", *words, *(shlex.quote(f"--{key}={value}") for key, value in flat.items())])
