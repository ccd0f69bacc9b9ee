"""Knowledge distillation for RecBole: small recommenders under large teachers.

Import it before RecBole: RecBole 1.2.1 then runs on today's numpy, scipy and torch as well.
"""

__version__ = "0.1.0"

from recbole_kd import compat

compat.mend()

from recbole_kd.config import Config, KDError, method_names  # noqa: E402
from recbole_kd.model import MKD, Distiller  # noqa: E402
from recbole_kd.quick_start import load_student, objective_function, run_kd  # noqa: E402
from recbole_kd.register import register  # noqa: E402
from recbole_kd.teacher.checkpoint import load_for_recbole, read_checkpoint  # noqa: E402
from recbole_kd.teacher.knowledge import Knowledge  # noqa: E402
from recbole_kd.teacher.resume import NonFiniteLoss  # noqa: E402
from recbole_kd.term import Term  # noqa: E402
from recbole_kd.trainer import KDTrainer  # noqa: E402

register()
compat.mend_loading(load_for_recbole)

__all__ = [
    "MKD",
    "Config",
    "Distiller",
    "KDError",
    "KDTrainer",
    "Knowledge",
    "NonFiniteLoss",
    "Term",
    "load_student",
    "method_names",
    "objective_function",
    "read_checkpoint",
    "register",
    "run_kd",
]
