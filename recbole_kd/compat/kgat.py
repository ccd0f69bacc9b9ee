"""KGAT's first attention matrix under dgl 1, which has renamed what RecBole calls."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any


def mend_kgat() -> None:
    """KGAT makes its matrix from the triples themselves where dgl is of version 1 or later.

    RecBole takes the triples of each relation as a graph of dgl's: ``edge_subgraph(..., preserve_nodes=True)`` and
    ``adjacency_matrix(transpose=False, scipy_fmt="coo")``, which dgl 1 has no more, and which ended in a TypeError.
    """
    try:
        if int(version("dgl").partition(".")[0]) < 1:
            return
    except PackageNotFoundError:
        return
    from recbole.model.knowledge_aware_recommender.kgat import KGAT

    KGAT.init_graph = _init_graph


def _init_graph(model: Any) -> Any:
    """The sum over the relations of their adjacency matrices, heads in rows, each row divided by its sum."""
    import numpy as np
    import scipy.sparse as sp
    import torch

    heads, tails, relations = (ids.cpu().numpy() for ids in (model.all_hs, model.all_ts, model.all_rs))
    total = sp.csr_matrix(model.matrix_size)
    for relation in range(1, model.n_relations):
        rows = relations == relation
        matrix = sp.coo_matrix((np.ones(rows.sum()), (heads[rows], tails[rows])), shape=model.matrix_size).tocsr()
        degrees = np.asarray(matrix.sum(1)).ravel()
        total += sp.diags(1 / np.maximum(degrees, 1)) @ matrix
    total = total.tocoo()
    indices = torch.from_numpy(np.stack([total.row, total.col]).astype(np.int64))
    return torch.sparse_coo_tensor(indices, torch.from_numpy(total.data).float(), model.matrix_size).to(model.device)
