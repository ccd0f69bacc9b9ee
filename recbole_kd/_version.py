"""The version of recbole_kd."""

__version__ = "0.2.0"
