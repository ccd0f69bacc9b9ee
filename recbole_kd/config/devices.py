"""The GPUs that the environment names."""

import os

VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"
# RecBole writes gpu_id into the environment: what it wrote there, and what stood there before
_written: dict[str, str | None] = {}


def visible_devices():
    """The GPUs that the environment names, a cluster's for one, and not a Config before this one; or None."""
    visible = os.environ.get(VISIBLE_DEVICES)
    return _written["before"] if _written and visible == _written["value"] else visible


def gpu_defaults():
    """The default of gpu_id where the environment names GPUs: RecBole would take its own, 0, instead."""
    named = visible_devices()
    return {} if named is None else {"gpu_id": named}
