"""The line of an atomic file over which RecBole's reader has failed: a number that is none."""

import csv
from pathlib import Path

from recbole.config import Config

SUFFIXES = ("inter", "user", "item", "kg", "link")


def find_wrong_number(config: Config) -> str | None:
    """The first field of a float column that is no number, as a clause for a message; None where there is none.

    Args:
        config: a RecBole Config whose dataset could not be read.
    """
    for file in sorted(Path(config["data_path"]).glob(f"{config['dataset']}.*")):
        if file.suffix[1:] in SUFFIXES and len(config["field_separator"]) == 1 and (fault := _fault(file, config)):
            return fault
    return None


def _fault(file: Path, config: Config) -> str | None:
    with open(file, encoding=config["encoding"] or "utf-8-sig", errors="replace", newline="") as stream:
        lines = csv.reader(stream, delimiter=config["field_separator"])
        header = [column.split(":") for column in next(lines, [])]
        floats = [index for index, column in enumerate(header) if column[1:] == ["float"]]
        for fields in lines:
            for index in floats:
                if index < len(fields) and fields[index] and not _is_number(fields[index]):
                    name, value = header[index][0], fields[index][:40]
                    return (
                        f"line {lines.line_num} of '{file}' has the {name} {value!r}, which is no number: correct it, "
                        f"or write {name}:token in the first line"
                    )
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
