"""The conformance suite, toy data and pytest fixtures, for our tests and for packages that bring methods or models.

A test of a method is a class with two attributes::

    from recbole_kd.testing import MethodConformance


    class TestMyMethod(MethodConformance):
        method = "MyMethod"

The fixtures come from the plugin ``recbole_kd.testing.fixtures``, which ``conftest.py`` enables.
"""

import pytest

# before the imports: pytest explains failed assertions of registered modules only
pytest.register_assert_rewrite(f"{__name__}.conformance", f"{__name__}.backbone_conformance", f"{__name__}.toy")

from recbole_kd.testing.backbone_conformance import BackboneConformance  # noqa: E402
from recbole_kd.testing.conformance import MethodConformance  # noqa: E402
from recbole_kd.testing.datasets import write_dataset  # noqa: E402
from recbole_kd.testing.measures import AllocationCounter, same_weights  # noqa: E402
from recbole_kd.testing.run import ConformanceRun  # noqa: E402

__all__ = [
    "AllocationCounter",
    "BackboneConformance",
    "ConformanceRun",
    "MethodConformance",
    "same_weights",
    "write_dataset",
]
