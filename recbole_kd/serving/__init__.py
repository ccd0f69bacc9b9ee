"""After the training: recommendations, exports that run without RecBole, and new users."""

from recbole_kd.serving.command_line import export_argv, recommend_argv
from recbole_kd.serving.export_options import ExportOptions, ExportReport
from recbole_kd.serving.exporter import export
from recbole_kd.serving.new_users import fold_in
from recbole_kd.serving.recommendations import Request, recommend, recommend_to_file
from recbole_kd.serving.recommender import Recommender
from recbole_kd.serving.similar import similar_items
from recbole_kd.usage import EXPORT_USAGE, RECOMMEND_USAGE

__all__ = [
    "EXPORT_USAGE",
    "RECOMMEND_USAGE",
    "ExportOptions",
    "ExportReport",
    "Recommender",
    "Request",
    "export",
    "export_argv",
    "fold_in",
    "recommend",
    "recommend_argv",
    "recommend_to_file",
    "similar_items",
]
