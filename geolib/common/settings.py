"""The settings of the course: which dataset, encoder, device and seed a notebook uses, and whether it runs quickly."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}
_DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Settings:
    """What a notebook runs on. `Settings.from_env` reads each field from an environment variable.

    dataset (`GEOLIB_DATASET`): a name for `open_dataset`.
    encoder (`GEOLIB_ENCODER`): "postcards", an open_clip pair such as "ViT-L-14/openai", or a model folder.
    device (`GEOLIB_DEVICE`): "auto", "cpu", "cuda" or "mps".
    seed (`GEOLIB_SEED`): seeds every random generator of a notebook.
    fast (`GEOLIB_FAST`): smaller numbers for tests, never for figures that are shown.

    >>> Settings.from_env({"GEOLIB_ENCODER": "ViT-L-14/openai"}).encoder_name
    ('ViT-L-14', 'openai')
    """

    dataset: str = "postcards"
    encoder: str = "postcards"
    device: str = "auto"
    seed: int = 0
    fast: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read `environ` (default: the process environment). Raises `ValueError` for another seed, device or switch."""
        env = os.environ if environ is None else environ
        seed = env.get("GEOLIB_SEED") or str(cls.seed)
        if not seed.isdecimal() or int(seed) >= 2**32:
            raise ValueError(f"GEOLIB_SEED={seed!r}: expected a non-negative integer below 2**32, such as 0")
        fast = env.get("GEOLIB_FAST", "").strip().lower()
        if fast not in _TRUE | _FALSE:
            raise ValueError(f"GEOLIB_FAST={fast!r}: expected 1 or 0")
        names = {key: env.get(f"GEOLIB_{key.upper()}") or getattr(cls, key) for key in ("dataset", "encoder", "device")}
        if names["device"] not in _DEVICES:
            raise ValueError(f"GEOLIB_DEVICE={names['device']!r}: expected one of {', '.join(_DEVICES)}")
        return cls(**names, seed=int(seed), fast=fast in _TRUE)

    @property
    def encoder_name(self) -> tuple[str, str | None]:
        """`(name, pretrained)` as `Encoder.load` takes them; `pretrained` is None for "postcards" and for a folder."""
        path, named = Path(self.encoder), self.encoder.startswith((".", "~"))  # no model's name begins like that
        if path.is_absolute() or named or (os.sep in self.encoder and (path / "open_clip_config.json").is_file()):
            return self.encoder, None
        name, _, pretrained = self.encoder.partition("/")
        return name, pretrained or None

    def pick(self, full: int, fast: int) -> int:
        """`full`, or `fast` if the fast switch is on."""
        return fast if self.fast else full
