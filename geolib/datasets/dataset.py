"""A dataset: places, photographers, licences, files and embeddings of photos."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from geolib.common.errors import MismatchError, MissingDataError
from geolib.common.files import cache_path
from geolib.datasets.splits import BUFFER_KM, random_split, safe_split
from geolib.evaluate import places
from geolib.images import load_rgb

if TYPE_CHECKING:
    from geolib.embed import EmbeddingStore
    from geolib.encoder import Encoder


@dataclass(frozen=True)
class Dataset:
    """Photographs with known places, as `open_dataset` returns them.

    `photos` has one row per photo, indexed by `id` (text): `lat`, `lon` (degrees, WGS84), `photographer`, `licence`,
    `author`, `source` ("" where unknown), and further columns of the dataset.

    Examples
    --------
    >>> from geolib import open_dataset
    >>> open_dataset("gallery").split().value_counts(normalize=True).round(2).to_dict()
    {'train': 0.65, 'test': 0.1, 'calibration': 0.1, 'development': 0.1, 'left_out': 0.05}
    """

    name: str
    photos: pd.DataFrame = field(repr=False)
    _file: Callable[[str], Path] | None = field(repr=False, default=None)  # file of a photo, by its id
    _version: str = field(repr=False, default="")  # changes with the files
    _shipped: tuple[Path, ...] = field(repr=False, default=())  # folders of embeddings that ship with the dataset
    refused: Mapping[str, int] = field(repr=False, default_factory=dict)  # reason -> number of unusable pictures

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def noun(self) -> str:
        """What figures and tables call its pictures: "postcards" for the drawn ones, else "photos"."""
        return "postcards" if self.name == "postcards" else "photos"

    def path(self, photo: str) -> Path:
        """File of a photo. Raises `ValueError` for an unknown id, `MissingDataError` where there are no pictures."""
        if photo not in self.photos.index:
            raise ValueError(f"no photo {photo!r} in {self.name}: ids look like {self.photos.index[0]!r}")
        if self._file is None:
            raise MissingDataError(f"{self.name} holds coordinates only; open_dataset('postcards') has pictures, too")
        return self._file(photo)

    @property
    def paths(self) -> Sequence[Path]:
        """All files in the order of `photos`; each is made in the process that indexes this sequence."""
        return _Paths(self)

    def image(self, photo: str) -> npt.NDArray[np.uint8]:
        """Pixels of a photo, uint8 (height, width, 3). Raises as `path`, and `ImageError` for a bad file."""
        return load_rgb(self.path(photo))

    def embeddings(self, encoder: Encoder, progress: bool = False) -> EmbeddingStore:
        """Embeddings of all photos: shipped with the dataset (if this encoder made them), cached, or computed now.

        Unreadable photos are in the store's `failures`. Raises `MismatchError` for shipped embeddings of other photos.
        """
        from geolib.embed import EmbeddingStore, embed_photos  # needs torch

        for folder in filter(Path.is_dir, self._shipped):
            store = EmbeddingStore.open(folder)
            if store.meta["encoder"]["fingerprint"] == encoder.fingerprint:
                if unknown := set(store.ids) - set(self.photos.index):
                    raise MismatchError(
                        f"{folder} holds {len(unknown):,} ids that are not photos of {self.name}, such as "
                        f"{min(unknown)!r}: restore table and embeddings from the clone"
                    )
                return store
        if self._file is None:
            self.path(self.photos.index[0])  # raises the error that says so
        folder = cache_path("embeddings", self.key(encoder))
        return embed_photos(encoder, self.paths, list(self.photos.index), folder, progress=progress)

    def key(self, encoder: Encoder) -> str:
        """Name for a cache of what is computed from these pictures with this encoder."""
        content = "\n".join([self._version, encoder.fingerprint, *self.photos.index])
        return f"{self.name}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def labels_key(self, encoder: Encoder) -> str:
        """Name for a cache of models: as `key`, and it changes with places, photographers and the published split."""
        digest = hashlib.sha256(self.key(encoder).encode())
        for column in ("lat", "lon"):
            digest.update(self.photos[column].to_numpy("<f8").tobytes())
        for column in ("photographer", "split"):
            if column in self.photos:
                digest.update("\n".join(map(str, self.photos[column])).encode())
        return f"{self.name}-{digest.hexdigest()[:16]}"

    def split(self, kind: str = "auto", seed: int = 0, *, buffer_km: float = BUFFER_KM) -> pd.Series[str]:
        """Split the photos: a Series id -> "train", "calibration", "development", "test" or "left_out".

        "auto" returns the published split, if there is one (column `split`, perhaps without a development side, or with
        more test sets such as "test_balanced"); else it is the "auto" of `safe_split`. "photographers" asks about new
        photographers, "places" about regions that lie `buffer_km` from training photos: `safe_split` explains both.
        "random" splits photo by photo and shows what leaks; do not measure with it. What a split gave up on a small set
        is warned of and stands in `attrs["gave_up"]`. ("safe", the name in older models, is "auto".)

        Raises `ValueError` for another kind.
        """
        if kind in ("auto", "safe") and "split" in self.photos:
            published = self.photos["split"].copy()
            published.attrs = {"kind": "published", "gave_up": []}
            return published
        if kind == "random":
            return random_split(self.photos, seed)
        return safe_split(self.photos, "auto" if kind == "safe" else kind, buffer_km=buffer_km, seed=seed)

    def photographers(self, photos: Iterable[str]) -> pd.Series[str]:
        """Photographer of each photo, for intervals and splits; unknown ones count as one per photo (its id)."""
        names = self.photos["photographer"].loc[list(photos)]
        return names.where(names != "", names.index.to_series())

    def clusters(self, photos: Iterable[str]) -> pd.DataFrame:
        """Photographer and place of each photo, what `geolib.evaluate` resamples: one row per photo, indexed by id.

        Columns `photographer`, as `photographers` gives it, and `place`, a number (`geolib.evaluate.places`).

        Examples
        --------
        >>> from geolib import open_dataset
        >>> gallery = open_dataset("gallery")
        >>> list(gallery.clusters(gallery.photos.index[:3]))
        ['photographer', 'place']
        """
        who = self.photographers(photos)
        rows = self.photos.loc[who.index]
        return pd.DataFrame({"photographer": who, "place": places(rows["lat"], rows["lon"])})

    def credits(self, photos: Iterable[str] | None = None) -> str:
        """Credits for a figure that shows these photos (default: all): a line per author, licence and source."""
        rows = self.photos if photos is None else self.photos.loc[list(photos)]
        sources = rows["source"].where(rows["source"] != rows.index, "")  # in a folder, the source is the id
        count = Counter(zip(rows["author"], rows["licence"], sources, strict=True))
        return "\n".join(
            f"{n:,} photo{'s' if n > 1 else ''}: " + (", ".join(filter(None, who)) or "author unknown")
            for who, n in sorted(count.items())
        )


@dataclass(frozen=True)
class _Paths(Sequence[Path]):
    dataset: Dataset

    @property
    def version(self) -> str:
        return self.dataset._version

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, position: Any) -> Any:
        return self.dataset.path(self.dataset.photos.index[position])
