"""Knowledge distillation for RecBole: small recommenders under large teachers.

Import it before RecBole: RecBole 1.2.1 then runs on today's numpy, scipy and torch as well.
"""

from recbole_kd import compat
from recbole_kd._version import __version__

compat.mend()

from recbole_kd.checkpoint.reader import load_for_recbole, read_checkpoint  # noqa: E402
from recbole_kd.config import Config, method_names  # noqa: E402
from recbole_kd.errors import KDError, NonFiniteLoss  # noqa: E402
from recbole_kd.knowledge.model import ModelKnowledge  # noqa: E402
from recbole_kd.method.composed import MKD  # noqa: E402
from recbole_kd.method.distiller import Distiller  # noqa: E402
from recbole_kd.method.registration import register  # noqa: E402
from recbole_kd.quick_start import load_student, objective_function, run_kd  # noqa: E402
from recbole_kd.term import Term  # noqa: E402
from recbole_kd.trainer.kd_trainer import KDTrainer  # noqa: E402

Knowledge = ModelKnowledge  # the name in 0.1

register()
compat.mend_loading(load_for_recbole)

__all__ = [
    "MKD",
    "Config",
    "Distiller",
    "KDError",
    "KDTrainer",
    "Knowledge",
    "ModelKnowledge",
    "NonFiniteLoss",
    "Term",
    "__version__",
    "load_student",
    "method_names",
    "objective_function",
    "read_checkpoint",
    "register",
    "run_kd",
]
