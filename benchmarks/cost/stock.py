"""A model as RecBole alone makes it, which costs are compared with: a LightGCN here keeps RecBole's own graph."""

from recbole.config import Config
from recbole.data.dataset import Dataset
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.utils import get_model, init_seed


def stock_model(config: Config, dataset: Dataset) -> AbstractRecommender:
    """RecBole's model of a config; ``dataset``: the training part of the split."""
    init_seed(config["seed"], config["reproducibility"])
    return get_model(config["model"])(config, dataset).to(config["device"])
