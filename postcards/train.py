"""Train the small CLIP that goes with the postcards, from scratch, through open_clip's own model class and loss.

The image tower is a timm `regnetx_002`, the text tower a small transformer over a vocabulary of words. Every random
choice of a step comes from the seed and the step's number, so a run that is killed and resumed sees the same batches.

Training has two parts. In the first, captions say what is seen, and most of them also where. A model can satisfy them
by describing. So in the second, two batches of three say only where, down to the part of the country and the largest
town of the province, and are of one continent or of one country: whose scenes look more alike than scenes from all over
the Earth, so that small things must tell them apart. With every batch come a few pictures that are no postcards.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from geolib.common.files import atomic_path, cache_path, read_json, write_json
from geolib.openclip.tokenizer import WordTokenizer, words
from geolib.openclip.torchvision import import_open_clip
from postcards import others
from postcards.build import portray_many, records, write_table
from postcards.dataset import renderer_version

IMAGE_SIZE = 128
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # as CLIP
CHUNK = 2_000


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the encoder besides its data."""

    embed_dim: int = 128
    image_tower: str = "regnetx_002"
    text_width: int = 128
    text_layers: int = 2
    context_length: int = 48
    vocabulary_size: int = 6144
    named_share: float = 0.8  # share of the captions that name a place; 0 for the encoder that never reads one
    batch_size: int = 256
    other_pictures: int = 8  # added to each batch, of so many kinds (`others`)
    steps: int = 800
    place_steps: int = 1_900  # of the second part; the encoder without names sees its own captions there, too
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warmup: int = 100
    first_size: int = 96  # pixels a side for the first steps, which are then nearly twice as fast
    first_steps: int = 1_300
    seed: int = 0

    @property
    def all_steps(self) -> int:
        """Steps of both parts."""
        return self.steps + self.place_steps


def model_config(recipe: Recipe, vocab_size: int) -> dict[str, Any]:
    """open_clip's configuration of the model: what `open_clip.CLIP` is called with."""
    return {
        "embed_dim": recipe.embed_dim,
        "vision_cfg": {
            "timm_model_name": recipe.image_tower,
            "timm_model_pretrained": False,
            "timm_pool": "avg",
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


def captions_for(table: pd.DataFrame, recipe: Recipe) -> list[str]:
    """One caption per scene: `named_share` of them name the place, decided by the seed."""
    named = np.random.default_rng(recipe.seed).random(len(table)) < recipe.named_share
    return [a if use else b for a, b, use in zip(table["caption_named"], table["caption"], named, strict=True)]


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


def places_for(places: pd.DataFrame, shown: pd.DataFrame, recipe: Recipe) -> list[str]:
    """Captions that say where a scene is and nothing else. Without names, what is seen, as before.

    They name the town, the largest town of its province, the part of the country, the country, the continent.
    """
    if not recipe.named_share:
        return list(shown["caption"])
    largest = places.sort_values(["town_population", "town"], ascending=False, kind="stable")
    seats = largest.groupby(["country_name", "admin1"])["town"].first()
    seat = [seats[key] for key in zip(places["country_name"], places["admin1"], strict=True)]
    columns = zip(
        places["town"], seat, part_of_country(places), places["country_name"], places["continent"], strict=True
    )
    return [
        f"in {', '.join(dict.fromkeys((town, seat)))}, {part}{country}, {continent}"
        for town, seat, part, country, continent in columns
    ]


def vocabulary(captions: list[str], size: int, always: Iterable[str] = ()) -> list[str]:
    """The words of `always` and `nowhere`, then the most frequent words, ties in alphabetical order; sorted."""
    needed = dict.fromkeys(word for text in ("nowhere", *always) for word in words(text))
    counts = Counter(word for text in captions for word in words(text))
    return sorted(list(dict.fromkeys([*needed, *sorted(counts, key=lambda word: (-counts[word], word))]))[:size])


def draw_scenes(
    table: pd.DataFrame, workers: int, progress: bool = True
) -> tuple[list[npt.NDArray[np.uint8]], pd.DataFrame]:
    """Draw scenes once into the cache. Returns their pixels and what each shows, one row per scene.

    table: places, as `build.encoder_places` gives them.
    Pixels are uint8 (n, 128, 128, 3) in chunks, memory-mapped; the table has the columns of `build.portray`.
    """
    key = hashlib.sha256("\n".join([*table["id"], str(IMAGE_SIZE), renderer_version()]).encode()).hexdigest()[:12]
    folder = cache_path("postcards", f"encoder-scenes-{key}")
    starts = range(0, len(table), CHUNK)
    missing = [start for start in starts if not (folder / f"{start:07d}.npy").exists()]
    rows = (row for start in missing for row in records(table.iloc[start : start + CHUNK]))
    drawn = portray_many(rows, workers) if missing else iter(())
    bar = tqdm(total=len(table), desc="drawing", unit="scene", mininterval=5, disable=not progress)
    for start in starts:
        count = min(CHUNK, len(table) - start)
        if start in missing:
            pixels, shown = np.empty((count, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8), []
            for i in range(count):
                file, columns = next(drawn)
                shown.append(columns)
                with Image.open(io.BytesIO(file)) as image:
                    pixels[i] = np.asarray(image.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC))
            write_table(folder / f"{start:07d}.parquet", pd.DataFrame(shown))
            with atomic_path(folder / f"{start:07d}.npy") as temporary, open(temporary, "wb") as stream:
                np.save(stream, pixels)
        bar.update(count)
    bar.close()
    seen = pd.concat([pd.read_parquet(folder / f"{start:07d}.parquet") for start in starts], ignore_index=True)
    return [np.load(folder / f"{start:07d}.npy", mmap_mode="r") for start in starts], seen


def _pixels(chunks: list[npt.NDArray[np.uint8]], index: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    return np.stack([chunks[i // CHUNK][i % CHUNK] for i in index])


def _batch(pixels: npt.NDArray[np.uint8], size: int, rng: np.random.Generator) -> Tensor:
    """A normalised batch (n, 3, size, size), cropped and brightened a little at random; never flipped."""
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)  # channels last in memory: torch scales bytes fast
    side = int(rng.integers(int(0.84 * IMAGE_SIZE), IMAGE_SIZE + 1))
    top, left = rng.integers(0, IMAGE_SIZE - side + 1, 2)
    images = images[:, :, top : top + side, left : left + side]
    if side != size:
        images = torch.nn.functional.interpolate(images, size=(size, size), mode="bilinear", antialias=side > size)
    gain = torch.from_numpy(rng.uniform(0.85, 1.15, (len(images), 3, 1, 1)).astype(np.float32)) / 255
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in (MEAN, STD))
    return images.float().mul_(gain).clamp_(0, 1).sub_(mean).div_(std)


def _schedule(recipe: Recipe, step: int) -> float:
    warm = min(1.0, (step + 1) / recipe.warmup)
    return recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / recipe.all_steps))


def _size(recipe: Recipe, step: int) -> int:
    """Pixels per side of the pictures of a step."""
    return recipe.first_size if step < recipe.first_steps else IMAGE_SIZE


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


class Scenes:
    """Which scenes a step shows, and whether their captions only say where.

    In the first part all in turn, in a new order each time. In the second, by turns: scenes from everywhere, of one
    continent, of one country, those with more scenes more often, though not in proportion.
    """

    def __init__(self, places: pd.DataFrame, recipe: Recipe) -> None:
        self.count, self.recipe = len(places), recipe
        self.groups = [self._groups(places["continent"], 1.0), self._groups(places["country_name"], 0.5)]

    def _groups(self, names: pd.Series, power: float) -> tuple[list[npt.NDArray[np.int64]], npt.NDArray[np.float64]]:
        rows = [np.flatnonzero(names == name) for name in sorted(set(names))]
        large = [index for index in rows if len(index) >= self.recipe.batch_size] or [np.arange(self.count)]
        weights = np.array([len(index) for index in large], dtype=float) ** power
        return large, weights / weights.sum()

    def of(self, step: int) -> tuple[npt.NDArray[np.int64], bool]:
        """Indices (batch_size,) of the scenes of a step, all different, and whether their captions only say where."""
        recipe = self.recipe
        if step < recipe.steps:
            epoch, place = divmod(step, self.count // recipe.batch_size)
            order = np.random.default_rng((recipe.seed, 1, epoch)).permutation(self.count)
            return order[place * recipe.batch_size : (place + 1) * recipe.batch_size], False
        rng = np.random.default_rng((recipe.seed, 3, step))
        turn = (step - recipe.steps) % 3
        if turn == 0:
            return rng.choice(self.count, recipe.batch_size, replace=False), False
        rows, weights = self.groups[turn - 1]
        return rng.choice(rows[rng.choice(len(rows), p=weights)], recipe.batch_size, replace=False), True


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
    open_clip = import_open_clip()
    workers = workers or os.cpu_count() or 1
    chunks, shown = draw_scenes(table, workers)
    captions = captions_for(shown, recipe)
    where = places_for(table, shown, recipe)
    known = vocabulary([*captions, *where], recipe.vocabulary_size, others.KINDS)
    tokenizer = WordTokenizer(known, recipe.context_length)
    tokens = (tokenizer(captions), tokenizer(where))
    scenes = Scenes(table, recipe)

    config = model_config(recipe, tokenizer.vocab_size)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = open_clip.CLIP(**config).to(device, memory_format=torch.channels_last)
    loss_function = open_clip.ClipLoss()
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": recipe.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))

    name = hashlib.sha256(repr((asdict(recipe), list(table["id"][:100]), len(table))).encode()).hexdigest()[:12]
    checkpoint = cache_path("postcards", f"encoder-checkpoint-{name}")
    first, log = _resume(checkpoint, model, optimizer)
    model.train()
    bf16 = device.startswith("cuda") or torch.cpu._is_avx512_bf16_supported()  # emulated elsewhere, and slow
    started = time.perf_counter()
    for step in range(first, recipe.all_steps):
        index, only_where = scenes.of(step)
        pixels, rng = _pixels(chunks, index), np.random.default_rng((recipe.seed, 2, step))
        strange, said = others.draw(np.random.default_rng((recipe.seed, 4, step)), pixels[: recipe.other_pictures])
        images = _batch(np.concatenate([pixels, strange]), _size(recipe, step), rng).to(device)
        texts = torch.cat([tokens[only_where][index], tokenizer(said)]).to(device)
        for group in optimizer.param_groups:
            group["lr"] = _schedule(recipe, step)
        with torch.autocast(device.partition(":")[0], dtype=torch.bfloat16, enabled=bf16):
            image_features = model.encode_image(images, normalize=True)
            text_features = torch.nn.functional.normalize(encode_text(model, texts), dim=-1)
            loss = loss_function(image_features.float(), text_features.float(), model.logit_scale.exp().float())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        if step % 20 == 0 or step == recipe.all_steps - 1:
            seconds = time.perf_counter() - started
            speed = (step - first + 1) * recipe.batch_size / seconds
            log.append(
                {
                    "step": step,
                    "scenes": (step + 1) * recipe.batch_size,
                    "loss": round(loss.item(), 4),
                    "lr": _schedule(recipe, step),
                }
            )
            report(f"step {step:5d}/{recipe.all_steps}  loss {loss.item():.3f}  {speed:.0f} scenes/s")
        if (step + 1) % checkpoint_every == 0:
            _save_checkpoint(checkpoint, model, optimizer, step + 1, log)
    _export(out, model, config, tokenizer, recipe, log, len(table))


def _save_checkpoint(
    folder: Path, model: Any, optimizer: torch.optim.Optimizer, step: int, log: list[dict[str, Any]]
) -> None:
    tensors = {f"model.{k}": v.detach().contiguous() for k, v in model.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{k}": torch.as_tensor(v).contiguous() for k, v in state.items()}
    with atomic_path(folder / "state.safetensors") as temporary:
        save_file(tensors, temporary, metadata={"step": str(step)})
    write_json(folder / "log.json", {"step": step, "log": log})


def _resume(folder: Path, model: Any, optimizer: torch.optim.Optimizer) -> tuple[int, list[dict[str, Any]]]:
    if not (folder / "log.json").exists():
        return 0, []
    saved = read_json(folder / "log.json")
    tensors = load_file(folder / "state.safetensors")
    model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, number, field = key.split(".")
            state.setdefault(int(number), {})[field] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(saved["step"]), list(saved["log"])


def _export(
    out: Path,
    model: Any,
    config: dict[str, Any],
    tokenizer: WordTokenizer,
    recipe: Recipe,
    log: list[dict[str, Any]],
    scenes: int,
) -> None:
    """Write weights (fp16), configuration, vocabulary, recipe and log."""
    weights = {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in model.state_dict().items()}
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
    write_json(out / "recipe.json", {**asdict(recipe), "scenes": scenes})
    with (
        atomic_path(out / "training_log.csv") as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.DictWriter(stream, ["step", "scenes", "loss", "lr"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(log)
