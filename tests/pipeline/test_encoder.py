"""The encoder against open_clip's model called by hand."""

import io
import random
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import PREPROCESSING, WORDS, model_shape, write_encoder

from geolib.common import files
from geolib.common.errors import CorruptFileError, ImageError, MissingDataError
from geolib.embed import embed_photos
from geolib.encoder import Encoder, choose_device
from geolib.openclip.tokenizer import WordTokenizer
from geolib.openclip.torchvision import import_open_clip

pytestmark = pytest.mark.usefixtures("one_thread")

DIM = 32
CONVOLUTIONS = {"timm_model_name": "regnetx_002", "image_size": 48, "timm_pool": "avg", "timm_proj": "linear"}
SHAPE = model_shape(DIM, **CONVOLUTIONS)  # the kind of model that ships with the clone
PREPROCESSING_48 = PREPROCESSING | {"size": 48, "mean": [0.5, 0.4, 0.3], "std": [0.25, 0.26, 0.27]}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("model"), shape=SHAPE, preprocessing=PREPROCESSING_48)


def picture(seed=0, height=60, width=90):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_images_are_embedded_as_open_clip_embeds_them(encoder, model_folder):
    import_open_clip()
    from open_clip import CLIP
    from open_clip.transform import image_transform

    images = [picture(seed) for seed in range(5)]
    model = CLIP(**SHAPE).eval()
    weights = files.read_tensors(model_folder / "open_clip_model.safetensors")
    model.load_state_dict({name: torch.from_numpy(x).float() for name, x in weights.items()})
    options = {key: value for key, value in PREPROCESSING_48.items() if key != "size"}
    transform = image_transform(48, is_train=False, **options)
    with torch.no_grad():
        expected = model.encode_image(torch.stack([transform(Image.fromarray(x)) for x in images]), normalize=True)
    vectors = encoder.embed_images(images)
    assert vectors.dtype == np.float32 and vectors.shape == (5, encoder.dim) == (5, DIM)
    np.testing.assert_allclose(vectors, expected.numpy(), atol=1e-4)  # pixels may differ by a grey level
    by_hand = encoder.model.encode_image(torch.stack([encoder.preprocess(x) for x in images]), normalize=True)
    np.testing.assert_allclose(vectors, by_hand.numpy(), atol=1e-6)
    assert np.ptp(vectors, axis=0).max() > 1e-3, "the test model gives the same vector for all"


def test_texts_are_embedded_as_the_model_embeds_them(encoder):
    texts = ["a city of snow", "a forest", "something else"]
    vectors = encoder.embed_text(texts)
    tokens = WordTokenizer(WORDS, 8)(texts)
    np.testing.assert_allclose(vectors, encoder.model.encode_text(tokens, normalize=True).numpy(), atol=1e-6)
    assert vectors.dtype == np.float32 and vectors.shape == (3, DIM)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_a_vector_does_not_depend_on_the_other_images(encoder):
    images = [picture(seed) for seed in range(5)]
    together = encoder.embed_images(images)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(encoder.embed_images(images, batch_size=2), together, atol=1e-6)
    alone = [encoder.embed_images([image]) for image in images]
    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-6)
    np.testing.assert_array_equal(encoder.embed_images([images[3]]), alone[3])


def test_coordinates_in_exif_change_no_bit(encoder, tmp_path):
    exif = Image.Exif()
    exif[0x8825] = {1: "S", 2: (12.0, 2.0, 0.0), 3: "W", 4: (77.0, 1.0, 0.0)}
    Image.fromarray(picture()).save(tmp_path / "bare.jpg")
    Image.fromarray(picture()).save(tmp_path / "tagged.jpg", exif=exif)
    bare, tagged = (encoder.embed_images([tmp_path / name]) for name in ("bare.jpg", "tagged.jpg"))
    np.testing.assert_array_equal(bare, tagged)


@pytest.mark.parametrize("method", ["embed_images", "embed_text"])
def test_a_list_is_expected_and_not_an_empty_one(encoder, method):
    with pytest.raises(ValueError, match="at least one"):
        getattr(encoder, method)([])
    with pytest.raises(ValueError, match="put it in a list"):
        getattr(encoder, method)("one")


def test_one_image_is_not_a_list_of_images(encoder, tmp_path):
    pixels = np.full((60, 90, 3), 128, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    content = (tmp_path / "one.png").read_bytes()
    several = encoder.embed_images(np.stack([pixels, pixels]))  # an array of images is a list of images
    assert several.shape == (2, encoder.dim)
    with pytest.raises(ValueError, match=r"one array of shape \(60, 90, 3\).*put it in a list"):
        encoder.embed_images(pixels)
    for one in (tmp_path / "one.png", content, bytearray(content), io.BytesIO(content), Image.fromarray(pixels)):
        with pytest.raises(ValueError, match="put it in a list"):
            encoder.embed_images(one)
        np.testing.assert_array_equal(encoder.embed_images([one]), encoder.embed_images([pixels]))


def test_an_unreadable_image_is_named(encoder, tmp_path):
    (tmp_path / "07.jpg").write_text("not an image")
    with pytest.raises(ImageError, match=r"07\.jpg is not a JPEG"):
        encoder.embed_images([picture(), tmp_path / "07.jpg"])


def test_damaged_weights_are_noticed(encoder, model_folder, tmp_path):
    shutil.copytree(model_folder, tmp_path, dirs_exist_ok=True)
    weights = files.read_tensors(tmp_path / "open_clip_model.safetensors")
    weights["visual.head.proj.weight"][:] = np.nan
    files.write_tensors(tmp_path / "open_clip_model.safetensors", weights)
    broken = Encoder.load(tmp_path, device="cpu")
    with pytest.raises(CorruptFileError, match="not finite"):
        broken.embed_images([picture()])
    assert broken.fingerprint != encoder.fingerprint


def test_no_global_generator_moves(model_folder, tmp_path):
    def state():
        return torch.get_rng_state().numpy().tobytes(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002

    before = state()
    encoder = Encoder.load(model_folder, device="cpu")
    encoder.embed_images([picture()])
    for workers in (0, 1):
        embed_photos(encoder, [picture(), picture(1)], ["a", "b"], tmp_path / str(workers), workers=workers)
    assert state() == before


def test_the_fingerprint_is_of_weights_and_preprocessing(tmp_path):
    def fingerprint(name, **options):
        return Encoder.load(str(write_encoder(tmp_path / name, **options)), device="cpu").fingerprint

    first = fingerprint("first")
    assert fingerprint("the same elsewhere") == first
    squash = fingerprint("squash", preprocessing=PREPROCESSING | {"resize_mode": "squash"})
    gelu = fingerprint("gelu", shape=model_shape() | {"quick_gelu": True})
    assert len({first, fingerprint("weights", seed=1), squash, gelu}) == 4


def test_postcards_come_from_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOLIB_DATA", str(tmp_path))
    with pytest.raises(MissingDataError, match="encoder is missing"):
        Encoder.load("postcards")
    write_encoder(tmp_path / "postcards" / "encoder")
    loaded = Encoder.load("postcards", device="cpu")
    assert (loaded.name, loaded.pretrained) == ("postcards", None)
    with pytest.raises(MissingDataError, match="`python -m postcards train-encoder --no-names` trains it"):
        Encoder.load("postcards-no-names")
    write_encoder(tmp_path / "postcards" / "encoder-no-names")
    assert Encoder.load("postcards-no-names", device="cpu").name == "postcards-no-names"


@pytest.mark.parametrize("revision", ["main", "0" * 39, "G" * 40])
def test_a_revision_is_a_commit(revision):
    with pytest.raises(ValueError, match=f"revision='{revision}': expected a commit"):
        Encoder.load("ViT-L-14", revision=revision)


@pytest.mark.parametrize(
    ("asked", "cuda", "bf16", "chosen"),
    [
        (("auto", "auto"), False, False, ("cpu", "fp32", "cpu: no GPU that torch can use; fp32: ")),
        (("auto", "auto"), True, True, ("cuda", "bf16", "cuda: torch found a GPU; bf16: the GPU supports bf16")),
        (("auto", "auto"), True, False, ("cuda", "fp32", "cuda: torch found a GPU; fp32: the GPU does not")),
        (("cuda", "fp32"), True, True, ("cuda", "fp32", "cuda: as asked; fp32: as asked")),
        (("cpu", "auto"), True, True, ("cpu", "fp32", "cpu: as asked; fp32: ")),
        (("cpu", "bf16"), False, False, ("cpu", "bf16", "cpu: as asked; bf16: as asked")),
        (("cuda", "auto"), False, False, "device='cuda': torch .* finds none here"),
        (("cuda", "bf16"), True, False, "does not support it"),
        (("tpu", "auto"), False, False, "expected auto, cpu, cuda, mps"),
        (("cpu", "fp16"), False, False, "auto, fp32, bf16"),
    ],
)
def test_device_and_precision_come_with_their_reason(monkeypatch, asked, cuda, bf16, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    if isinstance(chosen, str):
        with pytest.raises(ValueError, match=chosen):
            choose_device(*asked)
        with pytest.raises(ValueError, match=chosen):
            Encoder.load("no such model", device=asked[0], precision=asked[1])  # the device is checked first
    else:
        device, precision, reason = choose_device(*asked)
        assert (device, precision) == chosen[:2] and reason.startswith(chosen[2])


def test_bf16_is_close_to_fp32(encoder, model_folder):
    half = Encoder.load(model_folder, device="cpu", precision="bf16")
    images = [picture(seed) for seed in range(4)]
    vectors, exact = half.embed_images(images), encoder.embed_images(images)
    assert half.precision == "bf16" and vectors.dtype == np.float32
    assert (vectors * exact).sum(1).min() > 0.99
    assert np.abs(vectors - exact).max() > 0, "autocast was not on"
