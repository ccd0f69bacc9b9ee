"""A benchmark's command line and machine as its result file keeps them."""

import os
import shlex
from typing import Any

import torch

from recbole_kd.config.parsing import parse_value
from recbole_kd.evaluation.result import versions

FOLDERS = ("data_path", "checkpoint_dir", "result_file")  # of one machine only


def shareable(words: list[str]) -> list[str]:
    """The words of a command line without those that name a folder or file of this machine."""
    return [word for word in words if not any(name in word.partition("=")[0] for name in FOLDERS)]


def keys_of(words: list[str]) -> dict[str, Any]:
    """The words ``--key=value`` of a command line as typed keys, without folders."""
    pairs = (word.removeprefix("--").partition("=") for word in shareable(words))
    return {name: parse_value(name, value) for name, _, value in pairs}


def command_line(module: str, words: list[str]) -> str:
    """The command line that runs a module of the benchmarks with these words, folders left out."""
    return shlex.join(["python", "-m", module, *shareable(words)])


def device_name() -> str:
    """The GPU that is used where there is one, or cpu."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def environment() -> dict[str, Any]:
    """Where a benchmark runs: device, cores, threads and versions."""
    return {
        "device": device_name(), "cores": os.cpu_count(), "threads": torch.get_num_threads(), "versions": versions(),
    }  # fmt: skip


def folder_of(words: list[str], default: str = "saved") -> tuple[str, list[str]]:
    """The ``--checkpoint_dir`` among some words, and the words without it."""
    given = [word for word in words if word.startswith("--checkpoint_dir=")]
    folder = given[-1].partition("=")[2] if given else default
    return folder, [word for word in words if word not in given]
