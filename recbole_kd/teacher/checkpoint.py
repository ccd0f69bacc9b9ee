"""Reading a RecBole checkpoint without executing anything in it, and writing files whole or not at all."""

import io
import os
import zipfile
from pathlib import Path

import torch
from recbole.config import Config
from recbole.utils import get_model

from recbole_kd.config import KDError
from recbole_kd.teacher.unpickle import Archive, Array, Record


def read_checkpoint(path, map_location="cpu"):
    """A RecBole checkpoint as a dict; its ``config`` a dict of RecBole's keys.

    Raises:
        KDError: not there, cut short, not a checkpoint, or something in it that a checkpoint has no need of.
    """
    content = _read(path, map_location)
    config = content.get("config") if isinstance(content, dict) else None
    if not isinstance(config, Record) or not isinstance(content.get("state_dict"), dict):
        raise KDError(f"'{path}' is not a RecBole checkpoint: it holds no config and weights")
    final = config.state.get("final_config_dict") if isinstance(config.state, dict) else None
    if not isinstance(final, dict) or not isinstance(final.get("model"), str):
        raise KDError(f"'{path}' is not a RecBole checkpoint: its config names no model")
    content["config"] = final
    return content


def load_for_recbole(file, map_location="cpu", **_):
    """In place of ``torch.load`` inside RecBole: the same reading, with a RecBole Config in it."""
    content = _read(file, map_location)
    if isinstance(content, dict) and isinstance(content.get("config"), Record):
        config = object.__new__(Config)
        config.__dict__.update(content["config"].state)
        # two classes that the file only names
        config.yaml_loader, config.model_class = config._build_yaml_loader(), get_model(config["model"])
        if str(config["device"]).startswith("cuda") and not torch.cuda.is_available():
            config["device"] = torch.device("cpu")  # trained on a GPU, served without one
        content["config"] = config
        content["other_parameter"] = settled(content.get("other_parameter"))
    return content


def write_whole(path, content):
    """Write bytes to a file, so that it holds all of them or what it held before. Raises OSError."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        with open(partial, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def to_bytes(content, protocol=4):
    """What ``torch.save`` would write; RecBole's pickle protocol is 4."""
    buffer = io.BytesIO()
    torch.save(content, buffer, pickle_protocol=protocol)
    return buffer.getvalue()


def _read(path, map_location):
    path = Path(path)
    if not path.is_file():
        raise KDError(f"the checkpoint '{path}' is not there")
    try:
        with zipfile.ZipFile(path) as archive:
            return Archive(archive, path.stat().st_size, map_location).load()
    except KDError as error:
        raise KDError(f"the checkpoint '{path}' was refused: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can fail anywhere in zipfile, pickle, numpy or torch
        raise KDError(
            f"'{path}' is not a checkpoint that torch.save wrote, or it is damaged ({type(error).__name__}: {error})"
        ) from error


def settled(value):
    """``other_parameter`` as a model wants it: arrays and scipy matrices in place of their records."""
    if isinstance(value, Array):
        return value.array
    if isinstance(value, dict):
        return type(value)((key, settled(inner)) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return type(value)(settled(inner) for inner in value)
    if isinstance(value, Record) and value.kind.startswith("scipy.sparse"):
        return _matrix(value)
    return value


def _matrix(record):
    import scipy.sparse as sparse

    state, name = settled(record.state), record.kind.rpartition(".")[2]
    shape = state.get("_shape")
    if name in ("csr_matrix", "csc_matrix", "csr_array", "csc_array"):
        return getattr(sparse, name)((state["data"], state["indices"], state["indptr"]), shape=shape)
    if name in ("coo_matrix", "coo_array"):
        at = state["coords"] if "coords" in state else (state["row"], state["col"])
        return getattr(sparse, name)((state["data"], at), shape=shape)
    raise KDError(f"it holds a {record.kind}, which no RecBole model stores")
