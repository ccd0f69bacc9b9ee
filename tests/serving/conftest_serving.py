"""What the fixtures of this folder are made of."""

import os
import sys

import numpy as np
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

LEAVE_ONE_OUT = {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full", "group_by": "user"}
UNIFORM = {"distribution": "uniform", "sample_num": 1, "alpha": 1.0, "dynamic": False, "candidate_num": 0}
FAMILIES = {
    "BPR": {"embedding_size": 8, "epochs": 8},
    "LightGCN": {"embedding_size": 8},
    "SimpleX": {"embedding_size": 8, "history_len": 8},
    "MultiVAE": {"mlp_hidden_size": [16], "latent_dimension": 8, "train_neg_sample_args": None},
    "CDAE": {"embedding_size": 8, "train_neg_sample_args": None},
    "NeuMF": {"mf_embedding_size": 4, "mlp_embedding_size": 4, "mlp_hidden_size": [8]},
    "EASE": {"epochs": 1},
    "SASRec": {
        "hidden_size": 8,
        "inner_size": 16,
        "n_layers": 1,
        "n_heads": 1,
        "MAX_ITEM_LIST_LENGTH": 6,
        "train_neg_sample_args": None,
        "eval_args": LEAVE_ONE_OUT,
    },
    "FPMC": {
        "embedding_size": 8,
        "MAX_ITEM_LIST_LENGTH": 6,
        "eval_args": LEAVE_ONE_OUT,
    },
    "DeepFM": {
        "embedding_size": 4,
        "mlp_hidden_size": [8],
        "train_neg_sample_args": UNIFORM,
        "eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "mode": "full", "group_by": "user"},
        "metrics": ["NDCG"],
        "valid_metric": "NDCG@10",
    },
}


def write_uneven(folder):
    """Atomic files of 42 users and 50 items; the last two users have one interaction, the others 5 to 20."""
    draw = np.random.default_rng(3)
    scores = draw.normal(size=(42, 3)) @ draw.normal(size=(3, 50)) + draw.gumbel(size=(42, 50))
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user, row in enumerate(scores):
        n = 1 if user >= 40 else int(draw.integers(5, 21))
        lines += [f"u{user}\ti{item}\t{when}" for when, item in enumerate(np.argsort(-row)[:n])]
    (folder / "uneven").mkdir()
    (folder / "uneven" / "uneven.inter").write_text("\n".join(lines) + "\n")
    return folder


def train_checkpoint(model, keys, data_path, folder):
    """Train a model in plain RecBole; returns its checkpoint."""
    settings = {
        "epochs": 2,
        "data_path": str(data_path),
        "show_progress": False,
        "state": "ERROR",
        "learning_rate": 0.01,
        "checkpoint_dir": str(folder),
        "train_batch_size": 256,
        "seed": 5,
        "topk": [10],
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    }
    argv, sys.argv, before = sys.argv, sys.argv[:1], os.getcwd()
    os.chdir(folder)  # RecBole writes log_tensorboard/ there
    try:
        config = Config(model=model, dataset="uneven", config_dict=settings | keys)
        init_seed(config["seed"], config["reproducibility"])
        train, valid, _ = data_preparation(config, create_dataset(config))
        init_seed(config["seed"], config["reproducibility"])
        trainer = get_trainer(config["MODEL_TYPE"], config["model"])(
            config, get_model(config["model"])(config, train._dataset).to(config["device"])
        )
        trainer.saved_model_file = str(folder / f"{model}.pth")
        trainer.fit(train, valid, saved=True, show_progress=False)
    finally:
        os.chdir(before)
        sys.argv = argv
    return trainer.saved_model_file


def assert_same_list(items, scores, wanted_items, wanted_scores):
    """The same items in the same order with the same scores, but for items whose scores are as good as equal."""
    np.testing.assert_allclose(scores, wanted_scores, rtol=1e-4, atol=1e-5)
    if np.abs(np.diff(wanted_scores)).min(initial=1.0) > 1e-5:
        assert list(items) == list(wanted_items)
