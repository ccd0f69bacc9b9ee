"""A search for good settings of a method, of the student alone, or of the teacher, on the validation part."""

from recbole_kd.tune.tuner import tune, tune_argv

__all__ = ["tune", "tune_argv"]
