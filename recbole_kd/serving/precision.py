"""Tables of vectors in fewer bytes: halves, int8 with a scale for each row, or product quantisation."""

import numpy as np

from recbole_kd.errors import KDError

PRECISIONS = ("fp32", "fp16", "int8", "pq")
STEPS = 127  # the largest int8
CENTROIDS = 256  # of each part of a vector at most: a code is a byte


def encode(table: np.ndarray, precision: str, side: str, pq_bytes: int | None = None) -> dict[str, np.ndarray]:
    """A table as arrays by name: ``<side>_vectors``, for int8 also ``<side>_scale``, or ``<side>_codes`` and
    ``<side>_centroids`` for product quantisation.

    Args:
        table: float32, shape [n, d].
        precision: one of PRECISIONS; int8 rounds each number to a 127th of the largest of its row; pq writes the number
            of the nearest centroid for each part of a vector.
        side: ``user`` or ``item``.
        pq_bytes: of pq, the parts of a vector and the bytes it takes, as of ``parts_of``.

    Raises:
        KDError: pq_bytes does not divide the width.

    >>> {name: array.tolist() for name, array in encode(np.array([[127.0, -1.4]]), "int8", "item").items()}
    {'item_vectors': [[127, -1]], 'item_scale': [1.0]}
    """
    if precision == "fp32":
        return {f"{side}_vectors": table.astype(np.float32)}
    if precision == "fp16":
        limit = np.finfo(np.float16).max
        return {f"{side}_vectors": table.clip(-limit, limit).astype(np.float16)}
    if precision == "pq":
        codes, centroids = product_quantise(table, parts_of(table.shape[1], pq_bytes))
        return {f"{side}_codes": codes, f"{side}_centroids": centroids}
    largest = np.abs(table).max(axis=1)
    scale = np.where(largest > 0, largest / STEPS, 1.0).astype(np.float32)
    return {f"{side}_vectors": np.rint(table / scale[:, None]).astype(np.int8), f"{side}_scale": scale}


def decode(arrays: dict[str, np.ndarray], side: str) -> np.ndarray:
    """The table of ``encode`` as float32, shape [n, d]."""
    if f"{side}_codes" in arrays:
        codes, centroids = arrays[f"{side}_codes"], arrays[f"{side}_centroids"]
        return centroids[np.arange(codes.shape[1]), codes].reshape(len(codes), -1)
    table = arrays[f"{side}_vectors"].astype(np.float32)
    scale = arrays.get(f"{side}_scale")
    return table if scale is None else table * scale[:, None]


def parts_of(width: int, pq_bytes: int | None) -> int:
    """Into how many parts a vector is cut: ``pq_bytes``; None: parts of two coordinates, of one in an odd width.

    Raises:
        KDError: the parts would not be equally long.

    >>> parts_of(20, None), parts_of(20, 5), parts_of(7, None)
    (10, 5, 7)
    """
    parts = pq_bytes if pq_bytes is not None else (width // 2 if width % 2 == 0 else width)
    if width % parts:
        divisors = [number for number in range(1, width + 1) if width % number == 0]
        raise KDError(
            f"pq_bytes={parts} does not divide the width {width} of the vectors into equal parts: it takes one of "
            f"{', '.join(map(str, divisors))}"
        )
    return parts


def product_quantise(table: np.ndarray, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """The codes and the centroids of a table, by faiss; each part of the vectors has centroids of its own.

    Args:
        table: float32, shape [n, d], n > 0.
        parts: a divisor of d.

    Returns:
        (codes, centroids): uint8, shape [n, parts], and float32, shape [parts, c, d / parts]; c is 256, or the largest
        power of two up to n.

    Source:
        Jégou et al., Product Quantization for Nearest Neighbor Search, TPAMI 2011.
    """
    import faiss

    vectors = np.ascontiguousarray(table, dtype=np.float32)
    bits = max(1, min(CENTROIDS, len(vectors)).bit_length() - 1)
    if len(vectors) == 1:
        return np.zeros((1, parts), dtype=np.uint8), vectors.reshape(parts, 1, -1)
    quantiser = faiss.ProductQuantizer(vectors.shape[1], parts, bits)
    quantiser.cp.min_points_per_centroid = 1  # faiss warns on the screen of a small table otherwise
    quantiser.train(vectors)
    centroids = faiss.vector_to_array(quantiser.centroids).reshape(parts, 2**bits, -1).copy()
    return nearest_centroids(vectors.reshape(len(vectors), parts, -1), centroids), centroids


def nearest_centroids(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The number of the nearest centroid of each part, uint8, shape [n, parts].

    Args:
        vectors: shape [n, parts, d / parts].
        centroids: shape [parts, c, d / parts].
    """
    codes = np.empty(vectors.shape[:2], dtype=np.uint8)
    for part, table in enumerate(centroids):
        lengths = (table**2).sum(axis=1) / 2
        for first in range(0, len(vectors), 10_000):
            rows = slice(first, first + 10_000)
            codes[rows, part] = (lengths - vectors[rows, part] @ table.T).argmin(axis=1)
    return codes
