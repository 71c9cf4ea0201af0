"""A dataset: labels, paths and embeddings of photos."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import numpy as np
import numpy.typing as npt
import pandas as pd

from geolib.common.errors import MismatchError, MissingDataError
from geolib.common.files import cache_path
from geolib.datasets.splits import _SHARES, _deal, safe_split

if TYPE_CHECKING:
    from geolib.embed import EmbeddingStore
    from geolib.encoder import Encoder


@dataclass(frozen=True)
class Dataset:
    """Photographs with known places.

    name: what `open_dataset` was asked for.
    photos: one row a photo, indexed by `id` (string): `lat`, `lon` (degrees, WGS84), `photographer`, `licence`,
        `author`, `source` (empty strings where unknown), and what else the dataset knows.
    refused: pictures that were found and are not in `photos`, as numbers by reason.
    """

    name: str
    photos: pd.DataFrame = field(repr=False)
    _file: Callable[[str], Path] | None = field(repr=False, default=None)
    _version: str = field(repr=False, default="")
    _shipped: tuple[Path, ...] = field(repr=False, default=())
    refused: Mapping[str, int] = field(repr=False, default_factory=dict)

    def __len__(self) -> int:
        return len(self.photos)

    def path(self, photo: str) -> Path:
        """The picture's file, made now when it is drawn on demand. Raises `ValueError` for an unknown id."""
        if photo not in self.photos.index:
            raise ValueError(f"no photo {photo!r} in {self.name}: ids look like {self.photos.index[0]!r}")
        if self._file is None:
            raise MissingDataError(
                f"{self.name} holds coordinates only, no pictures; open_dataset('postcards') has some"
            )
        return self._file(photo)

    @property
    def paths(self) -> Sequence[Path]:
        """All files in the order of `photos`, each made only when it is asked for."""
        return _Paths(self)

    def image(self, photo: str) -> npt.NDArray[np.uint8]:
        """Pixels of a photo, uint8 (h, w, 3). Raises `ValueError` for an unknown id, `ImageError` for a bad file."""
        from geolib.images import load_rgb

        return load_rgb(self.path(photo))

    def embeddings(self, encoder: Encoder, progress: bool = False) -> EmbeddingStore:
        """Embeddings of all photos: those that ship with the dataset, else from the cache, else computed into it.

        A shipped store serves only the very encoder that made it (same fingerprint). Photos that cannot be read
        are in the store's `failures`.
        """
        from geolib.embed import EmbeddingStore, embed_photos

        for folder in filter(Path.is_dir, self._shipped):
            store = EmbeddingStore.open(folder)
            if store.meta["encoder"]["fingerprint"] == encoder.fingerprint:
                self._check_ids(store, folder)
                return store
        if self._file is None:
            self.path(self.photos.index[0])  # says that there are no pictures
        folder = cache_path("embeddings", self.key(encoder))
        return embed_photos(encoder, self.paths, list(self.photos.index), folder, progress=progress)

    def key(self, encoder: Encoder) -> str:
        """A name for what is computed from these photos and this encoder: other photos or weights, other name."""
        content = "\n".join([self._version, encoder.fingerprint, *self.photos.index])
        return f"{self.name}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def labels_key(self, encoder: Encoder) -> str:
        """As `key`, and another name for other places, photographers or sides: a model is fitted on all of these."""
        digest = hashlib.sha256(self.key(encoder).encode())
        for column in ("lat", "lon"):
            digest.update(self.photos[column].to_numpy("<f8").tobytes())
        for column in ("photographer", "split"):
            if column in self.photos:
                digest.update("\n".join(map(str, self.photos[column])).encode())
        return f"{self.name}-{digest.hexdigest()[:16]}"

    def _check_ids(self, store: EmbeddingStore, folder: Path) -> None:
        strangers = set(store.ids) - set(self.photos.index)
        if strangers:
            raise MismatchError(
                f"{folder} holds {len(strangers):,} ids that are not photos of {self.name}, such as "
                f"{min(strangers)!r}: table and embeddings are of different builds; restore both from the clone"
            )

    def split(self, kind: str = "safe", seed: int = 0) -> pd.Series[str]:
        """Which photos train, calibrate and test: a Series id -> "train", "calibration", "test" or "left_out".

        kind "safe": no photographer and no 1-degree block on two sides, by `safe_split`, seeded. Where the dataset
            publishes a split (column `split`; it may name further test sets, such as "test_balanced"), that one, which
            keeps apart what its authors kept apart: a model's card counts what the sides share.
        kind "places": no block on two sides, photographers on any; tests new places, not new photographers.
        kind "random": photo by photo, 80 / 10 / 10 %, seeded; for showing what leaks, not for measuring.
        """
        if kind == "safe" and "split" in self.photos:
            return self.photos["split"].rename("split")
        if kind == "safe":
            return safe_split(self.photos, seed)
        if kind == "places":
            return safe_split(self.photos.assign(photographer=""), seed)
        if kind == "random":
            ids = self.photos.index.sort_values()
            sides = _deal(pd.Series(1, index=ids), np.random.default_rng(seed), _SHARES)
            return sides.reindex(self.photos.index).rename("split")
        raise ValueError(f"kind={kind!r}: expected 'safe', 'places' or 'random'")

    def photographers(self, photos: Iterable[str]) -> pd.Series[str]:
        """Who took each photo, for intervals and splits; a photo without a name counts as one of its own (its id)."""
        names = self.photos["photographer"].loc[list(photos)]
        return names.where(names != "", names.index.to_series())

    def credits(self, photos: Iterable[str] | None = None) -> str:
        """Whom to name under a figure that shows these photos (default: all): a line for each author and licence.

        A source that is only the photo's own id, as in a folder, says nothing and is left out.
        """
        rows = self.photos if photos is None else self.photos.loc[list(photos)]
        sources = rows["source"].where(rows["source"] != rows.index, "")
        count = Counter(zip(rows["author"], rows["licence"], sources, strict=True))
        return "\n".join(
            f"{n:,} photo{'s' if n > 1 else ''}: " + (", ".join(filter(None, who)) or "author unknown")
            for who, n in sorted(count.items())
        )


def _spelled_out(path: str) -> dict[str, Any]:
    """The options in `/path/table.csv?id=IMG_ID&folder=/pictures`: path, folder, and the columns' names."""
    path, _, query = (path, "", "") if Path(path).exists() else path.partition("?")
    try:
        given = dict(parse_qsl(query, strict_parsing=True)) if query else {}
    except ValueError as error:
        raise ValueError(f"?{query}: expected names and values such as ?id=IMG_ID&lat=y&folder=/pictures") from error
    folder = {"folder": given.pop("folder")} if "folder" in given else {}
    return {"path": path} | folder | ({"columns": given} if given else {})


@dataclass(frozen=True)
class _Paths(Sequence[Path]):
    """The files of a dataset in order, each made where and when it is asked for: in the processes that decode."""

    dataset: Dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, position: Any) -> Any:
        return self.dataset.path(self.dataset.photos.index[position])
