"""Configs and files that the tests of the keys share."""

import copy
import logging
import sys
from unittest import mock

import torch
import yaml
from recbole.config import Config as RecBoleConfig

from recbole_kd.config.layering import read_layers
from recbole_kd.experiment import make_config


def made(*argv, dataset="toy", **sources):
    """The Config of MKD with these keys on the command line; ``sources``: config_dict, config_file_list."""
    return make_config("MKD", dataset, argv=list(argv), **sources)


def layers(*argv, **sources):
    return read_layers("MKD", "toy", argv=list(argv), **sources)


def stock(model="BPR", dataset="toy", **keys):
    """What plain RecBole makes of the same keys."""
    with mock.patch.object(sys, "argv", ["run_recbole.py"]):  # it parses pytest's arguments otherwise
        return RecBoleConfig(model, dataset, config_dict=copy.deepcopy(keys))


def yaml_file(folder, text, name="user.yaml"):
    (folder / name).write_text(text)
    return str(folder / name)


def stock_checkpoint(folder, model, **keys):
    """A file as RecBole's Trainer writes it, without the weights."""
    content = {"config": stock(model, **keys), "epoch": 0, "cur_step": 0, "best_valid_score": 0.1, "state_dict": {}}
    torch.save({**content, "other_parameter": None, "optimizer": {}}, folder / "teacher.pth", pickle_protocol=4)
    return str(folder / "teacher.pth")


def unknown_key_warnings(caplog, key):
    return [record for record in caplog.records if record.levelno == logging.WARNING and key in record.getMessage()]


def by_file(folder, keys):
    return {"config_file_list": [yaml_file(folder, yaml.safe_dump(keys))]}


def by_dict(folder, keys):
    return {"config_dict": keys}


def by_command_line(folder, keys):
    return {"argv": [f"--{key}={value}" for key, value in keys.items()]}
