"""Find photos that are nearly the same, by perceptual hashes of their pixels or by their embeddings.

The hashes are imagehash's, of a picture averaged down to one pixel per square. A fetched dataset stores its hashes, so
they must not change: imagehash's own resizing filter would give other bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import imagehash
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

_MOST = 1 << 24  # similarities in memory at a time: 67 MB


def average_hash(picture: Image.Image) -> str:
    """Hash a picture by which of 16 x 16 squares are brighter than average: 256 bits as 64 hex digits.

    Examples
    --------
    >>> average_hash(Image.linear_gradient("L"))  # dark above, bright below
    '00000000000000000000000000000000ffffffffffffffffffffffffffffffff'
    """
    return str(imagehash.average_hash(_squares(picture, 16, 16), hash_size=16))


def difference_hash(picture: Image.Image) -> int:
    """Hash a picture by where it gets brighter from left to right (dHash): 64 bits as a signed integer.

    Examples
    --------
    >>> gradient = Image.linear_gradient("L").rotate(90)  # dark on the left
    >>> difference_hash(gradient) == difference_hash(gradient.resize((100, 80))) == -1  # all bits are set
    True
    """
    return int(np.packbits(imagehash.dhash(_squares(picture, 9, 8)).hash).view(np.int64)[0])


def _squares(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Grey values, one pixel per square: a size that imagehash leaves as it is."""
    return picture.convert("L").resize((width, height), Image.Resampling.BOX)


def count_near_duplicates(hashes: Iterable[str], bits: int = 10) -> int:
    """Count the photos that look like an earlier one: their average hashes differ in at most `bits` of 256.

    Pictures of little but sky and ground may be alike by chance. Every pair is compared: minutes for 100,000 photos.

    Examples
    --------
    >>> count_near_duplicates(["0" * 64, "0" * 63 + "1", "f" * 64])
    1
    """
    words = np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint64).reshape(-1, 4)
    distances = (np.bitwise_count(words[:row] ^ words[row]).sum(axis=1) for row in range(1, len(words)))
    return sum(bool((distance <= bits).any()) for distance in distances)


def near_duplicates(vectors: npt.NDArray[Any], others: npt.NDArray[Any], threshold: float = 0.99) -> pd.DataFrame:
    """Find the pairs of two sets of photos whose embeddings are nearly equal, the most similar pair first.

    A test photo with such a pair in the training set is data leakage: the model has seen the answer.

    Parameters
    ----------
    vectors, others : (n, dim) and (m, dim), rows of unit length
    threshold : least cosine similarity of a pair, above -1 and at most 1

    Returns
    -------
    DataFrame with columns `photo`, `other` (row numbers) and `similarity`.

    Examples
    --------
    >>> near_duplicates(np.eye(3), np.eye(3)[[2]])
       photo  other  similarity
    0      2      0         1.0
    """
    if not -1 < threshold <= 1:
        raise ValueError(f"threshold={threshold}: expected a cosine similarity above -1 and at most 1")
    a, b = np.asarray(vectors, np.float32), np.asarray(others, np.float32)
    if not a.ndim == b.ndim == 2 or a.shape[1] != b.shape[1] or not a.size * b.size:
        raise ValueError(f"vectors have shape {a.shape}, others have shape {b.shape}: same encoder?")
    for name, rows in (("vectors", a), ("others", b)):
        lengths = np.linalg.norm(rows, axis=1)
        if (wrong := ~(np.abs(lengths - 1) < 1e-2)).any():
            row = np.argmax(wrong)
            raise ValueError(f"{name}: row {row} has length {lengths[row]:.4g}, expected 1: divide it by its norm")
    found = []
    step = max(1, _MOST // len(b))
    for start in range(0, len(a), step):
        similarity = a[start : start + step] @ b.T
        photo, other = np.nonzero(similarity >= threshold)
        found.append(pd.DataFrame({"photo": photo + start, "other": other, "similarity": similarity[photo, other]}))
    pairs = pd.concat(found)
    return pairs.sort_values(["similarity", "photo", "other"], ascending=[False, True, True], ignore_index=True)
