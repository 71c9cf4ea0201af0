"""One dial for the whole course: which dataset, which encoder, which device, which seed, how long."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}


@dataclass(frozen=True)
class Settings:
    """What a notebook runs on. Each field is read from an environment variable of the same name.

    dataset: a name for `open_dataset` (`GEOLIB_DATASET`).
    encoder: `postcards`, an open_clip `model/pretrained` pair such as `ViT-L-14/openai`, or a model folder
        (`GEOLIB_ENCODER`).
    device: `auto`, `cpu`, `cuda` or `mps` (`GEOLIB_DEVICE`).
    seed: seeds every generator that a notebook makes (`GEOLIB_SEED`).
    fast: smaller numbers for tests, never for figures that are shown (`GEOLIB_FAST`).
    """

    dataset: str = "postcards"
    encoder: str = "postcards"
    device: str = "auto"
    seed: int = 0
    fast: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read `GEOLIB_*` from `environ` (default: the process environment).

        Raises `ValueError` for a seed that is not a non-negative integer or a `fast` that is not yes or no.
        """
        env = os.environ if environ is None else environ
        seed = env.get("GEOLIB_SEED") or str(cls.seed)
        if not seed.isdecimal() or int(seed) >= 2**32:
            raise ValueError(f"GEOLIB_SEED={seed!r}: expected a non-negative integer such as 0, below 2**32")
        fast = env.get("GEOLIB_FAST", "").strip().lower()
        if fast not in _TRUE | _FALSE:
            raise ValueError(f"GEOLIB_FAST={fast!r}: expected 1 or 0")
        return cls(
            dataset=env.get("GEOLIB_DATASET") or cls.dataset,
            encoder=env.get("GEOLIB_ENCODER") or cls.encoder,
            device=env.get("GEOLIB_DEVICE") or cls.device,
            seed=int(seed),
            fast=fast in _TRUE,
        )

    @property
    def encoder_name(self) -> tuple[str, str | None]:
        """`(name, pretrained)` as `Encoder.load` takes them; `pretrained` is None for `postcards` and for a folder."""
        if os.sep in self.encoder and Path(self.encoder).is_dir():
            return self.encoder, None
        name, _, pretrained = self.encoder.partition("/")
        return name, pretrained or None

    def pick(self, full: int, fast: int) -> int:
        """`full`, or `fast` when the fast switch is on."""
        return fast if self.fast else full
