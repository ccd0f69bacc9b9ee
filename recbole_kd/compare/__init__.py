"""Methods x seeds x datasets from one plan: what is missing is run, then summed up in tables and a report."""

from recbole_kd.compare.plan import Plan, read_plan
from recbole_kd.compare.work import compare

__all__ = ["Plan", "compare", "read_plan"]
