"""Photos that are nearly the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from geolib.common.arrays import Vectors, as_vectors
from geolib.retrieve import NearestNeighbour, check_unit_length


def near_duplicates(
    vectors: Vectors,
    others: Vectors,
    threshold: float = 0.99,
    *,
    ids: Sequence[str] | None = None,
    other_ids: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Pairs of two sets of unit vectors, (n, dim) and (m, dim), as similar as `threshold` or more, the most so first.

    A frame with `photo`, `other` (rows, or ids where they are given) and `similarity`. Across the splits of a dataset
    such pairs are answers that were seen in training. Raises `ValueError` for a threshold outside (-1, 1] and vectors
    that are not of unit length.
    """
    if not -1 < threshold <= 1:
        raise ValueError(f"threshold={threshold}: expected a cosine similarity, above -1 and at most 1")
    first = check_unit_length(as_vectors(vectors, None if ids is None else len(ids)))
    second = check_unit_length(
        as_vectors(others, None if other_ids is None else len(other_ids), first.shape[1], "others")
    )
    found = []
    for i in range(0, len(first), NearestNeighbour.query_rows):
        queries = first[i : i + NearestNeighbour.query_rows].to(second.device).float()
        for j in range(0, len(second), NearestNeighbour.gallery_rows):
            similarity = queries @ second[j : j + NearestNeighbour.gallery_rows].float().T
            rows, columns = (similarity >= threshold).nonzero(as_tuple=True)
            found.append([(rows + i).cpu(), (columns + j).cpu(), similarity[rows, columns].cpu()])
    photo, other, similar = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    order = np.lexsort((other, photo, -similar))
    names = [
        rows[order] if known is None else [known[row] for row in rows[order]]
        for rows, known in ((photo, ids), (other, other_ids))
    ]
    return pd.DataFrame({"photo": names[0], "other": names[1], "similarity": similar[order]})
