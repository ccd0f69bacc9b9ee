"""The benchmarks behind the published figures, one folder a topic: see README.md in this folder.

Run a script from the project's root as a module: ``python -m benchmarks.cost.epoch --help``.
"""

import recbole_kd  # noqa: F401  # RecBole 1.2.1 starts on current numpy, scipy and torch only after this import
