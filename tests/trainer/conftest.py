"""A dataset with a knowledge graph, and RecBole's models on it without packages that are hard to install."""

import numpy as np
import pytest
import torch
from recbole.data.dataset import KnowledgeBasedDataset
from recbole.model.general_recommender import NCL
from recbole.model.knowledge_aware_recommender import KGAT
from torch import nn

USERS, ITEMS, ENTITIES = 30, 40, 55


@pytest.fixture(scope="module")
def kg_path(tmp_path_factory):
    """A dataset with a knowledge graph: an item of a hidden taste is linked to the entities of that taste."""
    folder, rng = tmp_path_factory.mktemp("kg"), np.random.default_rng(0)
    scores = rng.normal(size=(USERS, 3)) @ rng.normal(size=(3, ITEMS)) + rng.gumbel(size=(USERS, ITEMS))
    pairs = [f"u{user}\ti{item}" for user, row in enumerate(scores) for item in np.argsort(-row)[:10]]
    links = [f"i{item}\te{item}" for item in range(ITEMS)]
    triples = {(rng.integers(ENTITIES), rng.integers(3), rng.integers(ENTITIES)) for _ in range(150)}
    edges = [f"e{head}\tr{relation}\te{tail}" for head, relation, tail in sorted(triples)]
    (folder / "kg").mkdir()
    for kind, header, rows in (
        ("inter", "user_id:token\titem_id:token", pairs),
        ("link", "item_id:token\tentity_id:token", links),
        ("kg", "head_id:token\trelation_id:token\ttail_id:token", edges),
    ):
        (folder / "kg" / f"kg.{kind}").write_text("\n".join([header, *rows]) + "\n")
    return folder


@pytest.fixture
def without_missing_packages(monkeypatch):
    """KGAT makes its first matrix with dgl, NCL its clusters with faiss; here by a few lines each."""

    def clusters(model, table):
        centres = table[:: len(table) // model.k][: model.k]
        nearest = ((table[:, None] - centres) ** 2).sum(-1).argmin(1)
        return nn.functional.normalize(torch.tensor(centres), dim=1), torch.tensor(nearest)

    def graph(model):
        size = len(model.all_hs)
        indices = torch.stack([model.all_hs, model.all_ts])
        values = torch.arange(1, size + 1) / size
        return torch.sparse_coo_tensor(indices, values, model.matrix_size, check_invariants=True).coalesce()

    ckg_graph = KnowledgeBasedDataset.ckg_graph
    monkeypatch.setattr(NCL, "run_kmeans", clusters)
    monkeypatch.setattr(KGAT, "init_graph", graph)
    monkeypatch.setattr(
        KnowledgeBasedDataset,
        "ckg_graph",
        lambda data, form="coo", value_field=None: ckg_graph(data, "coo", value_field),
    )
    monkeypatch.setattr("sys.argv", ["pytest"])  # RecBole would read pytest's options as keys


@pytest.fixture
def kg_settings(kg_path, workdir, without_missing_packages):
    """The settings of a small run on the dataset ``kg``."""
    return {
        "data_path": str(kg_path),
        "epochs": 3,
        "train_batch_size": 64,
        "learning_rate": 0.05,
        "load_col": {
            "inter": ["user_id", "item_id"],
            "link": ["item_id", "entity_id"],
            "kg": ["head_id", "relation_id", "tail_id"],
        },
        "show_progress": False,
        "checkpoint_dir": str(workdir / "saved"),
        "state": "WARNING",
    }
