"""An ONNX graph of vectors: rows of users.txt -> the k best rows of items.txt and their scores."""

from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import numpy as np

from recbole_kd.serving.bundle import Tables

OPSET = 17
Node = tuple[str, list[str], list[str], dict[str, Any]]  # operator, inputs, outputs, attributes
LARGE = 1_500_000_000  # bytes; a protobuf file holds less than two gigabytes


def write_vector_graph(path: Path, tables: Tables, vectors: dict[str, np.ndarray]) -> None:
    """Write a graph with the inputs ``users`` (int64, [b]) and ``k`` (int64, [1]), and the outputs ``items`` (int64,
    [b, k]) and ``scores`` (float32, [b, k]). A user's seen items are left out; they are in the graph.

    Args:
        path: the file.
        tables: vectors and seen items.
        vectors: those of the tables as arrays, as of ``encode``; the scores are computed in float32.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    arrays = _constants(tables, vectors)
    inputs = [
        helper.make_tensor_value_info("users", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info("k", TensorProto.INT64, [1]),
    ]
    outputs = [
        helper.make_tensor_value_info("items", TensorProto.INT64, ["batch", "k"]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", "k"]),
    ]
    nodes = [helper.make_node(*node[:3], **node[3]) for node in _nodes(vectors)]
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "recommend", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="recbole_kd")
    model.ir_version = 8  # what opset 17 came with; older runtimes refuse newer ones
    if sum(array.nbytes for array in arrays.values()) > LARGE:
        onnx.save_model(model, str(path), save_as_external_data=True, location=f"{path.name}.data")
    else:
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString())


def _constants(tables: Tables, vectors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    seen = tables.seen.items if len(tables.seen.items) else np.full(1, len(tables.items), dtype=np.int64)
    return {
        **_lookup_tables(vectors),
        "seen_starts": tables.seen.starts,
        "seen_items": seen.astype(np.int64),
        "last_seen": np.array(len(seen) - 1, dtype=np.int64),
        "no_item": np.array(len(tables.items), dtype=np.int64),
        "zero": np.array(0, dtype=np.int64),
        "one": np.array(1, dtype=np.int64),
        "first_axis": np.array([0], dtype=np.int64),
        "second_axis": np.array([1], dtype=np.int64),
        "pads": np.array([0, 0, 0, 1], dtype=np.int64),
        "hidden_score": np.array(-np.inf, dtype=np.float32),
    }


def _lookup_tables(vectors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of the vectors; the centroids of all parts are one table, in which each part has its first row."""
    tables = {}
    for name, array in vectors.items():
        if name.endswith("_centroids"):
            parts, rows, width = array.shape
            tables[name] = array.reshape(parts * rows, width)
            tables[f"{name}_first"] = np.arange(parts, dtype=np.int64) * rows
            tables[f"{name}_shape"] = np.array([-1, parts * width], dtype=np.int64)
        else:
            tables[name] = array
    return tables


def _nodes(vectors: dict[str, np.ndarray]) -> list[Node]:
    """The steps: the scores, the seen items of each user as a padded table, the scores without them, the best."""
    return [
        *_decoded("user", vectors, rows="users"),
        *_decoded("item", vectors, rows=None),
        ("Transpose", ["item_table"], ["item_columns"], {"perm": [1, 0]}),
        ("MatMul", ["user_table", "item_columns"], ["raw_scores"], {}),
        # where each user's seen items begin and end
        ("Gather", ["seen_starts", "users"], ["begin"], {"axis": 0}),
        ("Add", ["users", "one"], ["next_users"], {}),
        ("Gather", ["seen_starts", "next_users"], ["end"], {"axis": 0}),
        ("Sub", ["end", "begin"], ["counts"], {}),
        ("ReduceMax", ["counts"], ["longest"], {"keepdims": 0}),
        ("Range", ["zero", "longest", "one"], ["offsets"], {}),
        ("Unsqueeze", ["offsets", "first_axis"], ["offset_row"], {}),
        ("Unsqueeze", ["begin", "second_axis"], ["begin_column"], {}),
        ("Unsqueeze", ["end", "second_axis"], ["end_column"], {}),
        ("Add", ["begin_column", "offset_row"], ["places"], {}),
        ("Less", ["places", "end_column"], ["is_seen"], {}),
        ("Min", ["places", "last_seen"], ["safe_places"], {}),
        ("Gather", ["seen_items", "safe_places"], ["listed"], {"axis": 0}),
        # a column after the last item takes what fills up the shorter rows
        ("Where", ["is_seen", "listed", "no_item"], ["seen_columns"], {}),
        ("Pad", ["raw_scores", "pads"], ["wide_scores"], {}),
        ("Shape", ["seen_columns"], ["seen_shape"], {}),
        ("Expand", ["hidden_score", "seen_shape"], ["hidden_scores"], {}),
        ("ScatterElements", ["wide_scores", "seen_columns", "hidden_scores"], ["masked_wide"], {"axis": 1}),
        ("Unsqueeze", ["no_item", "first_axis"], ["width"], {}),
        ("Slice", ["masked_wide", "first_axis", "width", "second_axis"], ["masked"], {}),
        ("TopK", ["masked", "k"], ["scores", "items"], {"axis": 1, "largest": 1, "sorted": 1}),
    ]


def _decoded(side: str, names: Container[str], rows: str | None) -> list[Node]:
    """``<side>_table`` in float32, of some rows where they are named."""
    nodes: list[Node] = []
    if f"{side}_codes" in names:
        return _centroids(side, rows)
    vectors, scale = f"{side}_vectors", f"{side}_scale"
    if rows:
        nodes.append(("Gather", [vectors, rows], [f"{side}_rows"], {"axis": 0}))
        vectors = f"{side}_rows"
    nodes.append(("Cast", [vectors], [f"{side}_floats"], {"to": 1}))  # 1 is float32
    if scale not in names:
        return [*nodes, ("Identity", [f"{side}_floats"], [f"{side}_table"], {})]
    if rows:
        nodes.append(("Gather", [scale, rows], [f"{side}_row_scale"], {"axis": 0}))
        scale = f"{side}_row_scale"
    return [
        *nodes,
        ("Unsqueeze", [scale, "second_axis"], [f"{side}_scale_column"], {}),
        ("Mul", [f"{side}_floats", f"{side}_scale_column"], [f"{side}_table"], {}),
    ]


def _centroids(side: str, rows: str | None) -> list[Node]:
    """``<side>_table`` of product quantisation: the centroid of each part, side by side."""
    codes, table = f"{side}_codes", f"{side}_centroids"
    nodes: list[Node] = []
    if rows:
        nodes.append(("Gather", [codes, rows], [f"{side}_rows"], {"axis": 0}))
        codes = f"{side}_rows"
    return [
        *nodes,
        ("Cast", [codes], [f"{side}_numbers"], {"to": 7}),  # 7 is int64
        ("Add", [f"{side}_numbers", f"{table}_first"], [f"{side}_places"], {}),
        ("Gather", [table, f"{side}_places"], [f"{side}_parts"], {"axis": 0}),
        ("Reshape", [f"{side}_parts", f"{table}_shape"], [f"{side}_table"], {}),
    ]


def open_graph(path: Path) -> Callable[[dict[str, np.ndarray]], tuple[np.ndarray, np.ndarray]]:
    """A function from a graph's inputs by name to (items, scores), shape [b, k] each, by onnxruntime on the CPU.

    Args:
        path: the .onnx file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = {entry.name for entry in session.get_inputs()}

    def run(inputs: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        items, scores = session.run(["items", "scores"], {name: a for name, a in inputs.items() if name in names})
        return items, scores

    return run
