"""Checks of the headers of RecBole's atomic files."""

import codecs
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from recbole.config import Config
from recbole.utils import FeatureType, ModelType

from recbole_kd.data.file_content import check_lines
from recbole_kd.data.split_settings import sorts_by_time
from recbole_kd.errors import KDError

TYPES = tuple(kind.value for kind in FeatureType)
ID_KEYS = ("USER_ID_FIELD", "ITEM_ID_FIELD")


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
    encoding = _encoding_of(file, config["encoding"])
    columns = _read_columns(file, config, encoding, is_training)
    _check_id_columns(file, columns, config)
    _check_loaded_columns(config)
    _check_types(file, columns, config)
    separator, names = config["field_separator"], list(columns)
    if len(separator) == 1 and "a\n".encode(encoding) in (b"a\n", b"\xef\xbb\xbfa\n"):
        check_lines(file, separator, {config[key]: names.index(config[key]) for key in ID_KEYS})


def _encoding_of(file: Path, encoding: str | None) -> str:
    """The encoding that a file is read in. Raises KDError: there is no such encoding, or the file has another mark."""
    try:
        codecs.lookup(encoding or "utf-8")
    except (LookupError, TypeError, ValueError) as error:
        raise KDError(f"encoding={encoding!r} is not known: write utf-8 or latin-1, say") from error
    with open(file, "rb") as stream:
        start = stream.read(2)
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) and not str(encoding).lower().startswith("utf-16"):
        raise KDError(f"'{file}' is text in UTF-16: write encoding=utf-16, or save it in UTF-8")
    return encoding or "utf-8"


def _check_types(file: Path, columns: Mapping[str, str], config: Config) -> None:
    """Refuse columns of another type than RecBole needs: it numbers tokens, and sorts floats by time."""
    for key in ID_KEYS:
        if columns[config[key]] != "token":
            name = config[key]
            raise KDError(f"'{file}' has the column {name}:{columns[name]}: write {name}:token in its first line")
    time = config["TIME_FIELD"]
    if not sorts_by_time(config):
        return
    if time not in columns:
        others = f"set TIME_FIELD to the name of the column of times (the file has {', '.join(columns)})"
        remedy = others if config["MODEL_TYPE"] == ModelType.SEQUENTIAL else "write order: RO"
        raise KDError(f"eval_args: order: TO sorts by '{time}', and '{file}' has no such column: {remedy}")
    if columns[time] != "float":
        raise KDError(
            f"eval_args: order: TO sorts by '{time}', and '{file}' has the column {time}:{columns[time]}: write "
            f"{time}:float in its first line"
        )


def _read_columns(file: Path, config: Config, encoding: str, is_training: bool) -> dict[str, str]:
    """The names in the first line of a file, each with its type."""
    separator = config["field_separator"]
    with open(file, encoding=encoding, errors="replace") as stream:
        header = stream.readline().rstrip("\r\n").removeprefix("\ufeff")  # a byte-order mark, see compat
        first = next((line for line in stream if line.strip()), "").rstrip("\r\n")
    if not header or (not first and is_training):
        raise KDError(
            f"'{file}' holds no interactions: it needs a line of columns and then one line for each interaction"
        )
    columns = header.split(separator)
    if any(len(column.split(":")) != 2 for column in columns):
        raise KDError(
            f"the first line of '{file}' is {header[:60]!r}; it must name columns such as user_id:token, separated "
            f"by {separator!r}: correct the line, or set field_separator"
        )
    _check_columns(file, header, columns, first.split(separator))
    return dict(column.split(":", 1) for column in columns)


def _check_columns(file: Path, header: str, columns: Sequence[str], fields: Sequence[str]) -> None:
    """Refuse columns of one name or of an unknown type, and lines of more fields, of which pandas makes an index."""
    names = [column.split(":")[0] for column in columns]
    if len(set(names)) != len(names):
        raise KDError(f"the first line of '{file}' is {header[:60]!r} and names a column twice: rename or remove one")
    unknown = next((column for column in columns if column.split(":")[1] not in TYPES), None)
    if unknown is not None:
        raise KDError(
            f"'{file}' has the column {unknown}, of no type that RecBole has: write one of {', '.join(TYPES)}"
        )
    if len(fields) > len(columns) and not any(field.startswith('"') for field in fields):
        raise KDError(
            f"'{file}' has {len(fields)} fields in its second line, and its first line names {len(columns)}: name all"
        )


def _check_id_columns(file: Path, columns: Iterable[str], config: Config) -> None:
    for key in ID_KEYS:
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
