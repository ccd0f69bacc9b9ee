"""Checks of the headers of RecBole's atomic files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from recbole.config import Config

from recbole_kd.data.split_settings import sorts_by_time
from recbole_kd.errors import KDError


def check_headers(config: Config) -> None:
    """Refuse interaction files whose first line RecBole cannot read with these settings.

    Missing files are left to RecBole, which may download them.

    Raises:
        KDError: with the file, its columns, and the keys that would fit it.
    """
    names = config["benchmark_filename"]
    suffixes = [f".{name}.inter" for name in names] if isinstance(names, (list, tuple)) else [".inter"]
    for index, suffix in enumerate(suffixes):
        file = Path(config["data_path"]) / f"{config['dataset']}{suffix}"
        if file.is_file():
            _check_file(file, config, is_training=index == 0)


def _check_file(file: Path, config: Config, is_training: bool) -> None:
    columns = _read_columns(file, config, is_training)
    _check_id_columns(file, columns, config)
    _check_loaded_columns(config)
    time = config["TIME_FIELD"]
    if sorts_by_time(config) and time not in columns:
        raise KDError(f"eval_args: order: TO sorts by '{time}', and '{file}' has no such column: write order: RO")


def _read_columns(file: Path, config: Config, is_training: bool) -> list[str]:
    """The names in the first line of a file, without their types."""
    separator = config["field_separator"]
    with open(file, encoding=config["encoding"] or "utf-8", errors="replace") as stream:
        header = stream.readline().rstrip("\r\n")
        empty = not any(line.strip() for line in stream)  # ends at the first line that has content
    if not header or (empty and is_training):
        raise KDError(
            f"'{file}' holds no interactions: it needs a line of columns and then one line for each interaction"
        )
    columns = header.split(separator)
    if any(len(column.split(":")) != 2 for column in columns):
        raise KDError(
            f"the first line of '{file}' is {header[:60]!r}; it must name columns such as user_id:token, separated "
            f"by {separator!r}: correct the line, or set field_separator"
        )
    return [column.split(":")[0] for column in columns]


def _check_id_columns(file: Path, columns: Sequence[str], config: Config) -> None:
    for key in ("USER_ID_FIELD", "ITEM_ID_FIELD"):
        if config[key] not in columns:
            raise KDError(
                f"'{file}' has no column '{config[key]}'; it has {', '.join(columns)}: set {key} to one of these, and "
                "name it in load_col"
            )


def _check_loaded_columns(config: Config) -> None:
    ids = [config["USER_ID_FIELD"], config["ITEM_ID_FIELD"]]
    loaded = config["load_col"].get("inter") if isinstance(config["load_col"], Mapping) else None
    missing = [name for name in ids if isinstance(loaded, (list, tuple)) and name not in loaded]
    if missing:
        raise KDError(f"load_col leaves {' and '.join(missing)} out: write load_col: {{inter: {ids}}}")
