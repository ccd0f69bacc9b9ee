"""The schema of every committed result file, a validator, and a writer. README.md in this folder describes the fields.

python -m benchmarks.schema benchmarks/*/results/*.json
"""

import json
import math
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1
FIELDS: dict[str, type] = {
    "schema_version": int,
    "kind": str,
    "command": list,
    "settings": dict,
    "environment": dict,
    "records": list,
}
RECORD_FIELDS = {"name", "seed", "setting", "values"}
ENVIRONMENT_FIELDS = {"device", "cores", "threads", "machine", "versions"}


def find_problems(content: Any) -> list[str]:
    """Everything in a result file that the schema does not allow, a sentence each; an empty list for a valid one."""
    if not isinstance(content, dict):
        return [f"the file holds a {type(content).__name__}, not an object"]
    problems = [f"the field '{name}' is missing" for name in FIELDS if name not in content]
    problems += [f"the field '{name}' is not in the schema" for name in content if name not in FIELDS]
    problems += [
        f"'{name}' is a {type(content[name]).__name__}, not a {kind.__name__}"
        for name, kind in FIELDS.items()
        if name in content and not isinstance(content[name], kind)
    ]
    if problems:
        return problems
    if content["schema_version"] != SCHEMA_VERSION:
        return [f"schema_version is {content['schema_version']}, this reader knows {SCHEMA_VERSION}"]
    if not content["command"] or not all(isinstance(line, str) and line for line in content["command"]):
        problems.append("'command' is not a list of at least one command line")
    problems += [f"'environment' holds '{name}'" for name in content["environment"] if name not in ENVIRONMENT_FIELDS]
    if not content["records"]:
        problems.append("'records' is empty")
    for number, record in enumerate(content["records"]):
        problems += [f"record {number}: {problem}" for problem in _record_problems(record)]
    return problems + _duplicates(content["records"])


def _record_problems(record: Any) -> list[str]:
    if not isinstance(record, dict) or not {"name", "seed", "values"} <= set(record) <= RECORD_FIELDS:
        return [f"it needs name, seed and values, may have setting, and nothing else: {str(record)[:80]}"]
    problems = []
    if not isinstance(record["name"], str) or not record["name"]:
        problems.append("'name' is not a text")
    if not (record["seed"] is None or type(record["seed"]) is int):
        problems.append("'seed' is neither a whole number nor null")
    if not isinstance(record.get("setting", {}), dict):
        problems.append("'setting' is not an object")
    if not isinstance(record["values"], dict) or not record["values"]:
        problems.append("'values' is not an object with at least one value")
        return problems
    return problems + [
        f"the value of '{key}' is {value!r}" for key, value in record["values"].items() if not _is_value(value)
    ]


def _is_value(value: Any) -> bool:
    """A finite number, a truth value, null, or a list of such values."""
    if isinstance(value, list):
        return all(map(_is_value, value))
    return value is None or (isinstance(value, (int, float)) and math.isfinite(value))


def _duplicates(records: list) -> list[str]:
    """Two records of one name, seed and setting."""
    seen, problems = set(), []
    for record in (record for record in records if isinstance(record, dict)):
        key = json.dumps([record.get(field) for field in ("name", "seed", "setting")], sort_keys=True)
        if key in seen:
            problems.append(f"two records of '{record.get('name')}', seed {record.get('seed')}, in the same setting")
        seen.add(key)
    return problems


def make_record(name: str, seed: int | None, values: Mapping, setting: Mapping | None = None) -> dict:
    """One measurement: ``values`` of ``name`` under ``seed``; ``setting`` parts records of one name and seed."""
    return {"name": name, "seed": seed, **({"setting": dict(setting)} if setting else {}), "values": dict(values)}


def make_result(
    kind: str, command: Iterable[str], settings: Mapping, records: list[dict], environment: Mapping
) -> dict:
    """The content of a result file. Raises ValueError: what the schema does not allow."""
    content = {
        "schema_version": SCHEMA_VERSION, "kind": kind, "command": list(command), "settings": dict(settings),
        "environment": dict(environment), "records": records,
    }  # fmt: skip
    if problems := find_problems(content):
        raise ValueError(f"not a valid result: {'; '.join(problems[:5])}")
    return content


def write_result(file: str | Path, content: dict) -> None:
    """Write a result file, a record a line, and its folder where it is missing."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(as_text(content), encoding="utf-8")


def as_text(content: dict) -> str:
    """A result file's text: a field a line, of the records a record a line."""
    head = [f" {json.dumps(name)}: {json.dumps(content[name])},\n" for name in FIELDS if name != "records"]
    rows = ",\n".join(f"  {json.dumps(record)}" for record in content["records"])
    return "{\n" + "".join(head) + f' "records": [\n{rows}\n ]\n}}\n'


def main(files: list[str]) -> int:
    """Print the problems of some files; 1 where there is one."""
    problems = [
        f"{file}: {problem}" for file in files for problem in find_problems(json.loads(Path(file).read_text("utf-8")))
    ]
    print("\n".join(problems) or f"{len(files)} files follow the schema")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
