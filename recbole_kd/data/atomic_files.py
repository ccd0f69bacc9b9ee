"""Checks of the headers of RecBole's atomic files."""

from collections.abc import Mapping
from pathlib import Path

from recbole_kd.errors import KDError


def check_headers(config):
    """Refuse interactions whose first line RecBole cannot read, or not with these settings; files that are not there
    are left to RecBole, which may download them.

    Raises:
        KDError: with the file, what stands there, and the keys that would fit it.
    """
    parts = config["benchmark_filename"]
    ends = [f".{part}.inter" for part in parts] if isinstance(parts, (list, tuple)) else [".inter"]
    for place, end in enumerate(ends):
        file = Path(config["data_path"]) / f"{config['dataset']}{end}"
        if file.is_file():
            _check_file(file, config, to_train=place == 0)


def _check_file(file, config, to_train):
    separator = config["field_separator"]
    with open(file, encoding=config["encoding"] or "utf-8", errors="replace") as stream:
        first = stream.readline().rstrip("\r\n")
        empty = not any(line.strip() for line in stream)  # ends at the first line that holds something
    if not first or (empty and to_train):
        raise KDError(f"'{file}' holds no interactions: a line of columns and a line for each of them")
    columns = first.split(separator)
    if any(len(column.split(":")) != 2 for column in columns):
        raise KDError(
            f"the first line of '{file}' is {first[:60]!r}, and not columns such as user_id:token, parted by "
            f"{separator!r}: write it so, or set field_separator"
        )
    names = [column.split(":")[0] for column in columns]
    ids = {key: config[key] for key in ("USER_ID_FIELD", "ITEM_ID_FIELD")}
    for key, name in ids.items():
        if name not in names:
            raise KDError(
                f"'{file}' has no column '{name}', but {', '.join(names)}: set {key} to the name it has there, and "
                "name it in load_col"
            )
    read = config["load_col"].get("inter") if isinstance(config["load_col"], Mapping) else None
    missing = [name for name in ids.values() if isinstance(read, (list, tuple)) and name not in read]
    if missing:
        raise KDError(f"load_col leaves {' and '.join(missing)} out: write load_col: {{inter: {list(ids.values())}}}")
    time = config["TIME_FIELD"]
    sorts = (config["eval_args"] or {}).get("order") == "TO" and not config["benchmark_filename"]
    if sorts and time not in names:
        raise KDError(f"eval_args: order: TO sorts by '{time}', and '{file}' has no such column: write order: RO")
