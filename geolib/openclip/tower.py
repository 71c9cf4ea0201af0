"""An image tower that keeps where things are: EfficientNet-Lite0, of which several stages are read on one grid.

Averaging the last stage over the picture, as most towers do, throws away where things are, and small bright details
with it, and what it keeps says little of colours. Here four stages, a few convolutions on the pixels and a thumbnail
are brought to a grid of 8 x 8 and read together: place by place, and for what stands anywhere.
EfficientNet: Tan and Le 2019, arXiv 1905.11946; the Lite0 variant is timm's `tf_efficientnet_lite0`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, adaptive_max_pool2d, gelu, interpolate, pixel_unshuffle
from torch.nn.utils.fusion import fuse_conv_bn_eval

from geolib.openclip.torchvision import declare_operators

declare_operators()  # before timm, which imports torchvision
import timm  # noqa: E402

GRID = 8


class GridTower(nn.Module):
    """Pictures (n, 3, side, side) to `num_features` numbers each, with the interface of timm's models.

    `network`, EfficientNet-Lite0, never learns here: give it weights by `load_network`. The rest does.
    """

    default_cfg: Mapping[str, Any] = {}

    def __init__(self, width: int = 160, kept: int = 48, num_features: int = 512) -> None:
        super().__init__()
        self.network = _network()
        self.eye = nn.Sequential(
            nn.Conv2d(3, 48, 4, stride=4), Residual(48), nn.Conv2d(48, 96, 2, stride=2), Residual(96),
            nn.Conv2d(96, 128, 2, stride=2),
        )  # fmt: skip
        read = 24 + 2 * 40 + 112 + 320 + 128 + 48
        self.norm, self.mix, self.body = nn.BatchNorm2d(read), nn.Conv2d(read, width, 1), Residual(width)
        self.keep = nn.Conv2d(width, kept, 1)
        self.out = nn.Linear(kept * GRID**2 + 2 * width, num_features)
        self.num_features = num_features

    def load_network(self, weights: Mapping[str, Tensor]) -> None:
        """Give the network its weights, by timm's names, and lock it."""
        self.network.load_state_dict(_network(weights).state_dict())
        self.network.requires_grad_(False)

    def reset_classifier(self, *arguments: Any, **options: Any) -> None:
        """There is no classifier."""

    def maps(self, images: Tensor) -> Tensor:
        """What the network's stages say of each place of the grid, (n, 536, 8, 8)."""
        x, parts = self.network["bn1"](self.network["conv_stem"](images)), []
        blocks: Any = self.network["blocks"]
        for number, block in enumerate(blocks):
            x = block(x)
            if number in (1, 2):  # early stages: small bright things stand out in the maximum
                parts.append(adaptive_max_pool2d(x, GRID))
            if number in (2, 4):
                parts.append(adaptive_avg_pool2d(x, GRID))
            if number == 6:
                parts.append(interpolate(x, size=(GRID, GRID), mode="nearest"))
        return torch.cat(parts, dim=1)

    def read(self, images: Tensor, maps: Tensor) -> Tensor:
        """Pictures and their maps to (n, num_features)."""
        colours = pixel_unshuffle(adaptive_avg_pool2d(images, 4 * GRID), 4)
        seen = torch.cat([maps, adaptive_avg_pool2d(self.eye(images), GRID), colours], dim=1)
        x = gelu(self.body(self.mix(self.norm(seen))))
        anywhere = torch.cat([x.amax(dim=(2, 3)), x.mean(dim=(2, 3))], dim=1)
        return gelu(self.out(torch.cat([self.keep(x).flatten(1), anywhere], dim=1)))

    def forward(self, images: Tensor) -> Tensor:
        """Pictures (n, 3, side, side) to (n, num_features)."""
        return self.read(images, self.maps(images))


def _network(weights: Mapping[str, Tensor] | None = None) -> nn.ModuleDict:
    """EfficientNet-Lite0 without its last layers, with these weights, or random ones.

    Each normalisation is folded into the convolution before it: the same numbers, in two thirds of the time.
    """
    whole = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    network = nn.ModuleDict({"conv_stem": whole.conv_stem, "bn1": whole.bn1, "blocks": whole.blocks}).eval()
    if weights is not None:
        network.load_state_dict(weights)
    _fold(network)
    return network


def _fold(module: nn.Module) -> None:
    children = list(module.named_children())
    for (name, conv), (after, norm) in pairwise(children):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(conv, norm))
            setattr(module, after, getattr(norm, "act", nn.Identity()))
    for _, child in children:
        _fold(child)


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (n, width, side, side) to maps of the same shape."""
        change: Tensor = self.second(gelu(self.first(gelu(self.norm(x)))))
        return x + change


@timm.models.register_model  # type: ignore[untyped-decorator]
def efficientnet_lite0_grid(pretrained: bool = False, **options: Any) -> GridTower:
    """What timm makes of this name; weights come with the encoder's folder."""
    return GridTower()
