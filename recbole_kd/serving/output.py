"""Files and folders that are complete or do not exist."""

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from recbole_kd.errors import KDError
from recbole_kd.io import check_output_file, check_path

SEPARATORS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*SEPARATORS, ".parquet")
ROWS = 100_000  # written at once
MANIFEST = "model.json"  # by which a folder is known as an export


def is_installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def require_package(package: str, purpose: str, install: str = "") -> None:
    """Refuse what needs a package that is not installed.

    Args:
        package: the name of the import.
        purpose: what needs it.
        install: the name for pip, where it is another one.

    Raises:
        KDError: it is missing; the message has the line for pip.
    """
    if not is_installed(package):
        raise KDError(f"{purpose} needs a package that is not installed: pip install {install or package}")


def check_output(output: str | os.PathLike[str], overwrite: bool) -> None:
    """Refuse, before any work, a table that cannot be written. Raises KDError."""
    path = Path(output)
    if path.suffix not in SUFFIXES:
        raise KDError(f"output '{path}' has no known suffix: it takes one of {', '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        require_package("pyarrow", "a .parquet file")
    check_output_file("output", str(path))
    _check_free(path, overwrite)


def _check_free(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise KDError(f"output '{path}' exists: write to another place, or replace it with --overwrite")


@contextmanager
def open_table(output: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Callable[[pd.DataFrame], None]]:
    """A function that appends tables to a file; the file appears when all are written.

    Args:
        output: a file with the suffix .csv, .tsv or .parquet.
        overwrite: replace an existing file.

    Raises:
        KDError: as check_output.
    """
    check_output(output, overwrite)
    path = Path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    writer = _parquet(partial) if path.suffix == ".parquet" else _text(partial, SEPARATORS[path.suffix])
    try:
        with writer as write:
            buffer = _Buffer(write)
            yield buffer.append
            buffer.flush()
        if not buffer.written:
            raise KDError("there is nothing to write: no user is left")
        _check_free(path, overwrite)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


class _Buffer:
    """Collects small tables, so that they are written many rows at a time."""

    def __init__(self, write: Callable[[pd.DataFrame], None]) -> None:
        self.write = write
        self.frames: list[pd.DataFrame] = []
        self.rows = self.written = 0

    def append(self, frame: pd.DataFrame) -> None:
        self.frames.append(frame)
        self.rows += len(frame)
        if self.rows >= ROWS:
            self.flush()

    def flush(self) -> None:
        if self.rows:
            self.write(pd.concat(self.frames, ignore_index=True))
        self.written += self.rows
        self.frames, self.rows = [], 0


@contextmanager
def _text(path: Path, separator: str) -> Iterator[Callable[[pd.DataFrame], None]]:
    with open(path, "w", encoding="utf-8", newline="") as stream:

        def write(frame: pd.DataFrame) -> None:
            frame.to_csv(stream, sep=separator, index=False, header=stream.tell() == 0, lineterminator="\n")

        yield write
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _parquet(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    writers: list[ParquetWriter] = []
    try:

        def write(frame: pd.DataFrame) -> None:
            table = pyarrow.Table.from_pandas(frame, preserve_index=False)
            if not writers:
                writers.append(ParquetWriter(path, table.schema))
            writers[0].write_table(table)

        yield write
    finally:
        for writer in writers:
            writer.close()


def check_folder(output: str | os.PathLike[str], overwrite: bool) -> None:
    """Refuse, before any work, a folder that cannot be written; only an earlier export is replaced. Raises KDError."""
    path = Path(output)
    check_output_file("output", str(path.absolute() / MANIFEST))
    check_path("output", path.absolute().with_name(f".{path.name}.xxxxxxxx"))  # the folder while it is written
    if os.path.isfile(path):
        raise KDError(f"output '{path}' is a file: an export is a folder, so name one")
    empty = path.is_dir() and not any(path.iterdir())
    if path.exists() and not empty:
        _check_free(path, overwrite)
        if not (path / MANIFEST).is_file():
            raise KDError(f"output '{path}' is a folder without {MANIFEST}: only an earlier export is replaced")


@contextmanager
def new_folder(output: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """A folder that takes the place of ``output`` when all in it is written.

    Raises:
        KDError: as check_folder.
    """
    check_folder(output, overwrite)
    path = Path(output).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    try:
        content, earlier = staging / "new", staging / "earlier"
        content.mkdir()
        yield content
        check_folder(output, overwrite)
        if path.exists():
            os.replace(path, earlier)
        os.replace(content, path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
