"""What RecBole's models need to run in the census: generated data, settings beyond the defaults, and a pre-training."""

from pathlib import Path
from typing import Any

import numpy as np
from recbole.quick_start import run_recbole

from recbole_kd.testing.datasets import write_knowledge_dataset, write_knowledge_graph, write_sequence_dataset

SEQUENCES, GRAPH = "census_seq", "census_kg"  # the datasets
ITEMS = 150  # GRU4RecCPR ranks a hundred items anew
VECTOR_WIDTH = 64  # of the given vectors of entities and relations: the width of GRU4RecKG and KSR
INTERACTIONS = ["user_id", "item_id", "rating", "timestamp"]
FEATURES = {"inter": INTERACTIONS, "item": ["item_id", "class", "release_year"]}
VECTORS = {
    "inter": INTERACTIONS,
    "kg": ["head_id", "relation_id", "tail_id"],
    "link": ["item_id", "entity_id"],
    "ent": ["ent_id", "ent_emb"],
    "rel": ["rel_id", "rel_emb"],
}
OF_FEATURES = {"load_col": FEATURES, "selected_features": ["class"]}
OF_VECTORS = {
    "load_col": VECTORS,
    "additional_feat_suffix": ["ent", "rel"],
    "preload_weight": {"ent_id": "ent_emb", "rel_id": "rel_emb"},
    "alias_of_entity_id": ["ent_id"],
    "alias_of_relation_id": ["rel_id"],
}
# what a model needs beyond its defaults, to read the generated data, to be pre-trained, or to end in time
EXTRA: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("FDSA", "SASRecF", "GRU4RecF"), OF_FEATURES),
    **dict.fromkeys(("GRU4RecKG", "KSR"), OF_VECTORS),
    "S3Rec": {"load_col": FEATURES, "hidden_size": 8, "inner_size": 32},
    "RaCT": {"mlp_hidden_size": [32], "latent_dimension": 16},
    "ConvNCF": {"embedding_size": 64, "cnn_channels": [1, 4, 4, 4, 4]},
    "NCL": {"num_clusters": 5},
}
SHARED = ("load_col",)  # read for both sides of a run; the other keys are for one
# the stages that RecBole trains before the last one, which the census distils
STAGES = {"S3Rec": ("pretrain",), "RaCT": ("actor_pretrain", "critic_pretrain")}


def write_data(folder: Path) -> None:
    """The generated datasets: ``census_seq`` in the order of time, with a graph and its vectors, and ``census_kg``."""
    write_sequence_dataset(folder, SEQUENCES, users=80, items=ITEMS)
    write_knowledge_graph(folder, SEQUENCES, items=ITEMS)
    write_knowledge_dataset(folder, GRAPH)
    triples = [line.split("\t") for line in (folder / SEQUENCES / f"{SEQUENCES}.kg").read_text().splitlines()[1:]]
    rng = np.random.default_rng(0)
    for suffix, names in (
        ("ent", sorted({entity for head, _, tail in triples for entity in (head, tail)})),
        ("rel", sorted({relation for _, relation, _ in triples})),
    ):
        rows = [f"{name}\t{' '.join(f'{x:.3f}' for x in rng.normal(size=VECTOR_WIDTH))}" for name in names]
        text = "\n".join([f"{suffix}_id:token\t{suffix}_emb:float_seq", *rows]) + "\n"
        (folder / SEQUENCES / f"{SEQUENCES}.{suffix}").write_text(text)


def common_settings(folder: Path) -> dict[str, Any]:
    """The keys of every training of the census."""
    return {
        "data_path": str(folder),
        "epochs": 1,
        "train_batch_size": 256,
        "MAX_ITEM_LIST_LENGTH": 10,
        "show_progress": False,
        "state": "ERROR",
    }


def pretrain(name: str, folder: Path) -> dict[str, Any]:
    """Train a model's stages before the last with RecBole's own trainer, for an epoch each.

    Args:
        name: the model.
        folder: the folder of the datasets.

    Returns:
        The keys of the last stage; none for a model that is trained in one stage.
    """
    keys: dict[str, Any] = {}
    for stage in STAGES.get(name, ()):
        target = folder / "pretrained" / stage
        settings = {**common_settings(folder), **EXTRA[name], **keys, "train_stage": stage}
        settings |= {"checkpoint_dir": str(target), "pretrain_epochs": 1, "save_step": 1}
        if name == "S3Rec":  # its loss is over all items
            settings["train_neg_sample_args"] = None
        run_recbole(model=name, dataset=SEQUENCES, config_dict=settings)
        keys = {"train_stage": "finetune", "pre_model_path": str(target / f"{name}-{SEQUENCES}-1.pth")}
    return keys
