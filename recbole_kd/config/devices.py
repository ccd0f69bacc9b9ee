"""The GPUs that the environment names."""

import os

VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"
# RecBole writes gpu_id into the environment: what it wrote, and the value before
_written: dict[str, str | None] = {}


def visible_devices() -> str | None:
    """The GPUs that the environment names, as a cluster sets them, without what an earlier Config wrote; or None."""
    visible = os.environ.get(VISIBLE_DEVICES)
    return _written["before"] if _written and visible == _written["value"] else visible


def record_written_devices(before: str | None) -> None:
    """Remember what RecBole has written into the environment; ``before``: the value until then."""
    _written.update(value=os.environ[VISIBLE_DEVICES], before=before)


def gpu_defaults() -> dict[str, str]:
    """The default of gpu_id where the environment names GPUs: RecBole would take its own, 0, instead."""
    devices = visible_devices()
    return {} if devices is None else {"gpu_id": devices}
