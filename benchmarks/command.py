"""A benchmark's command and device as its result file keeps them."""

import torch

FOLDERS = ("data_path", "checkpoint_dir")  # this machine's, nobody else's


def shareable(words):
    """The words of a command line without those that name a folder of this machine."""
    return [word for word in words if not any(name in word for name in FOLDERS)]


def device_name():
    """The GPU that is used where there is one, or cpu."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
