"""Reading a committed result file."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from benchmarks.schema import find_problems

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Result:
    """A result file that follows the schema.

    Attributes:
        name: the file's name without its ending.
        kind: what was measured.
        command: the command lines that make it.
        settings: what was requested.
        environment: where it was measured.
        records: the measurements, dicts of ``name``, ``seed``, ``values`` and sometimes ``setting``.
    """

    name: str
    kind: str
    command: list
    settings: dict
    environment: dict
    records: list

    def names(self) -> list[str]:
        """The names of the records, each once, in the order of the file."""
        return list(dict.fromkeys(record["name"] for record in self.records))

    def seeds(self) -> list[int]:
        """The seeds of the records, each once, in the order of the file."""
        return list(dict.fromkeys(record["seed"] for record in self.records if record["seed"] is not None))

    def of(self, name: str) -> Iterator[dict]:
        """The records of one name."""
        return (record for record in self.records if record["name"] == name)

    def by_seed(self, name: str, key: str) -> dict[int, float]:
        """Seed to value, of one name's records that have a seed and the value."""
        return {
            record["seed"]: record["values"][key]
            for record in self.of(name)
            if record["seed"] is not None and record["values"].get(key) is not None
        }

    def values(self, name: str, key: str) -> list:
        """The value of every record of this name that has it."""
        return [record["values"][key] for record in self.of(name) if record["values"].get(key) is not None]

    def mean(self, name: str, key: str) -> float | None:
        """The mean of ``values``; None where there is none."""
        values = self.values(name, key)
        return fmean(values) if values else None

    def seed_rows(self, key: str) -> list[dict[str, float]]:
        """For each seed the value of every name that has it."""
        return [
            {r["name"]: r["values"][key] for r in self.records if r["seed"] == seed and key in r["values"]}
            for seed in self.seeds()
        ]


def result_files() -> list[Path]:
    """All committed result files."""
    return sorted(FOLDER.glob("*/results/*.json"))


def read_result(file: str | Path) -> Result:
    """A result file. Raises ValueError: it does not follow the schema."""
    content = json.loads(Path(file).read_text(encoding="utf-8"))
    if problems := find_problems(content):
        raise ValueError(f"'{file}' is not a valid result: {'; '.join(problems[:5])}")
    return Result(Path(file).stem, **{name: value for name, value in content.items() if name != "schema_version"})


def result(name: str) -> Result:
    """The committed result file of this name, whatever its topic. Raises FileNotFoundError."""
    files = list(FOLDER.glob(f"*/results/{name}.json"))
    if len(files) != 1:
        raise FileNotFoundError(f"{len(files)} files are called benchmarks/*/results/{name}.json")
    return read_result(files[0])


def topic_file(name: str) -> Path:
    """The path of a committed result file from the project's root, ``benchmarks/<topic>/results/<name>.json``."""
    (file,) = FOLDER.glob(f"*/results/{name}.json")
    return file.relative_to(FOLDER.parent)
