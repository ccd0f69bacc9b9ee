"""Methods x seeds x datasets from one plan: what is missing is run, then summed up in tables and a report."""

from recbole_kd.compare.plan import ComparisonPlan, read_plan
from recbole_kd.compare.scheduler import compare

__all__ = ["ComparisonPlan", "compare", "read_plan"]
