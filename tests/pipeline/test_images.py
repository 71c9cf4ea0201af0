"""Every kind of image that a camera, a phone or an attacker writes: decoded to the right pixels, or refused by name."""

import io
import struct
import threading
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from handmade import png
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from geolib.common.errors import ImageError
from geolib.images import MAX_JPEG_PIXELS, MAX_PIXELS, load_rgb, open_rgb

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (13, 20, 3), dtype=np.uint8)  # unequal sides: a wrong turn shows
GPS = {0x8825: {1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0)}}


def smooth(height=48, width=64):
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 255 // height, columns * 255 // width, 255 - rows * 255 // height], 2).astype(np.uint8)


def encode(pixels, format="PNG", mode=None, **options):
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, format, **options)
    return buffer.getvalue()


def exif(orientation=None, gps=False):
    made = Image.Exif()
    if orientation is not None:
        made[0x0112] = orientation
    for tag, value in GPS.items() if gps else ():
        made[tag] = value
    return made.tobytes()


# What is accepted


def test_png_is_exact_from_every_kind_of_source(tmp_path):
    content = encode(PIXELS)
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    with open(path, "rb") as stream:
        stream.read(5)  # a file object that has already been read from
        sources = [path, str(path), content, bytearray(content), io.BytesIO(content), stream, PIXELS]
        sources += [Image.fromarray(PIXELS), Image.open(path)]
        for source in sources:
            loaded = load_rgb(source)
            assert loaded.dtype == np.uint8 and loaded.flags.writeable and loaded.flags.c_contiguous
            np.testing.assert_array_equal(loaded, PIXELS)
        sources[-1].close()


def test_a_stream_that_cannot_seek():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise io.UnsupportedOperation

    np.testing.assert_array_equal(load_rgb(Pipe(encode(PIXELS))), PIXELS)


def test_a_view_of_an_array_is_read_as_it_looks():
    np.testing.assert_array_equal(load_rgb(PIXELS[:, ::-1]), PIXELS[:, ::-1])


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_lossy_formats_agree_with_pillow(format):
    content = encode(smooth(), format)
    with Image.open(io.BytesIO(content)) as oracle:
        np.testing.assert_array_equal(load_rgb(content), np.asarray(oracle.convert("RGB")))


ORIENTED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", ORIENTED)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_every_orientation_is_turned_upright(format, orientation):
    options = {"lossless": True} if format == "WEBP" else {}
    stored = load_rgb(encode(PIXELS, format, **options))
    turned = load_rgb(encode(PIXELS, format, exif=exif(orientation), **options))
    np.testing.assert_array_equal(turned, ORIENTED[orientation](stored))
    if format != "JPEG":
        np.testing.assert_array_equal(stored, PIXELS)


def test_a_pillow_image_is_turned_and_not_changed():
    with Image.open(io.BytesIO(encode(PIXELS, exif=exif(6)))) as image:
        np.testing.assert_array_equal(load_rgb(image), np.rot90(PIXELS, -1))
        assert image.size == (20, 13) and "exif" in image.info


@pytest.mark.parametrize("content", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", exif(0), exif(9)])
def test_useless_exif_is_ignored(content):
    np.testing.assert_array_equal(load_rgb(encode(PIXELS, exif=content)), PIXELS)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_gps_leaves_no_trace(format):
    bare, tagged = encode(PIXELS, format), encode(PIXELS, format, exif=exif(1, gps=True))
    with Image.open(io.BytesIO(tagged)) as image:
        assert image.getexif().get_ifd(0x8825), "the test photo carries no GPS"
    np.testing.assert_array_equal(load_rgb(tagged), load_rgb(bare))


def test_nothing_but_pixels_comes_out():
    content = encode(PIXELS, "JPEG", exif=exif(1, gps=True), comment=b"Lima", icc_profile=srgb(), dpi=(72, 72))
    picture = open_rgb(content)
    assert type(picture) is Image.Image and picture.info == {} and not picture.getexif()


def srgb():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_icc_profiles_are_dropped():
    np.testing.assert_array_equal(load_rgb(encode(PIXELS, icc_profile=srgb())), PIXELS)


def test_cmyk_jpeg_has_the_right_colours():
    loaded = load_rgb(encode(smooth(), "JPEG", "CMYK", quality=95))
    assert np.abs(loaded.astype(int) - smooth()).mean() < 4  # an inverted CMYK would be off by about 128


def test_grey_and_black_and_white():
    grey = PIXELS[:, :, 0]
    np.testing.assert_array_equal(load_rgb(encode(grey)), np.repeat(grey[:, :, None], 3, 2))
    bits = load_rgb(encode(grey, mode="1"))
    assert set(np.unique(bits)) == {0, 255}


def test_16_bit_grey_is_scaled_not_clipped():
    deep = np.linspace(0, 65535, 20 * 30).astype(np.uint16).reshape(20, 30)
    loaded = load_rgb(encode(deep))
    np.testing.assert_array_equal(loaded, np.repeat((deep // 256)[:, :, None], 3, 2))
    assert len(np.unique(loaded)) == 256


def test_16_bit_colour_is_scaled_not_clipped():
    deep = RNG.integers(0, 65536, (5, 7, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    loaded = load_rgb(png(7, 5, (b"IDAT", zlib.compress(rows)), bits=16))
    np.testing.assert_array_equal(loaded, deep // 256)


def test_transparency_is_shown_on_white():
    layer = np.dstack([PIXELS, np.zeros((13, 20), np.uint8)])
    layer[:, :5, 3] = 255
    layer[:, 5:10, 3] = 51  # a fifth
    loaded = load_rgb(encode(layer)).astype(int)
    np.testing.assert_array_equal(loaded[:, :5], PIXELS[:, :5])
    assert np.abs(loaded[:, 5:10] - (PIXELS[:, 5:10] * 0.2 + 255 * 0.8)).max() <= 1
    assert (loaded[:, 10:] == 255).all()
    webp = load_rgb(encode(layer, "WEBP", lossless=True, exact=True))
    np.testing.assert_array_equal(webp, loaded)


def test_transparent_palettes_and_colours():
    indices = np.array([[0, 1], [2, 0]], np.uint8)
    image = Image.frombytes("P", (2, 2), indices.tobytes())
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    expected = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 0, 0]]])
    for options, seen in (
        ({}, expected),
        ({"transparency": 1}, np.where(indices[:, :, None] == 1, 255, expected)),  # one colour is see-through
        ({"transparency": b"\xff\x00\xff"}, np.where(indices[:, :, None] == 1, 255, expected)),  # one alpha a colour
    ):
        buffer = io.BytesIO()
        image.save(buffer, "PNG", **options)
        np.testing.assert_array_equal(load_rgb(buffer.getvalue()), seen)
    keyed = encode(np.array([[10, 20]], np.uint8), transparency=20)
    np.testing.assert_array_equal(load_rgb(keyed)[0, :, 0], [10, 255])


def test_animation_gives_its_first_frame():
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (40, 120, 200)]
    for format in ("WEBP", "PNG"):
        buffer = io.BytesIO()
        frames[0].save(buffer, format, save_all=True, append_images=frames[1:], lossless=True)
        assert (load_rgb(buffer.getvalue()) == 40).all(), format


def test_mpo_of_phones_gives_its_first_image():
    first, second = Image.fromarray(smooth()), Image.fromarray(255 - smooth())
    buffer = io.BytesIO()
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    with Image.open(buffer) as oracle:
        assert oracle.format == "MPO" and oracle.n_frames == 2
        np.testing.assert_array_equal(load_rgb(buffer.getvalue()), np.asarray(oracle))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1)])
def test_extreme_shapes(shape):
    pixels = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    np.testing.assert_array_equal(load_rgb(encode(pixels)), pixels)


@pytest.mark.parametrize(("side", "expected"), [(None, 400), (401, 400), (250, 400), (200, 200), (90, 100), (1, 50)])
def test_reduced_decoding_never_goes_below_the_side_asked_for(side, expected):
    content = encode(smooth(400, 600), "JPEG", quality=95)
    loaded = np.asarray(open_rgb(content, min_side=side))
    assert loaded.shape == (expected, expected * 3 // 2, 3)
    reference = Image.fromarray(smooth(400, 600)).resize(loaded.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(loaded.astype(int) - np.asarray(reference)).max() <= 6


def test_reduced_decoding_leaves_other_sources_whole():
    assert open_rgb(encode(smooth()), min_side=8).size == (64, 48)
    with Image.open(io.BytesIO(encode(smooth(), "JPEG"))) as image:
        assert open_rgb(image, min_side=8).size == (64, 48)


# What is refused


def refusal(source):
    return refusal_of(lambda: load_rgb(source))


def refusal_of(call):
    with pytest.raises(ImageError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.97])
def test_a_cut_file_is_refused(tmp_path, format, kept):
    content = encode(PIXELS, format)
    path = tmp_path / "cut.jpg"
    path.write_bytes(content[: int(len(content) * kept) + 1])
    message = refusal(path)
    assert message.startswith(f"{path} is damaged or cut short") and "again" in message


def test_a_text_file_called_jpg(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_text("not a photo at all")
    expected = "is not a JPEG, PNG or WEBP file (it begins with b'not a photo '); convert it to one of these"
    assert refusal(path) == f"{path} {expected}"


@pytest.mark.parametrize("format", ["GIF", "TIFF", "BMP", "PPM", "ICO"])
def test_other_formats_are_refused_whatever_their_name(tmp_path, format):
    path = tmp_path / "photo.jpg"
    path.write_bytes(encode(PIXELS, format))
    assert "is not a JPEG, PNG or WEBP" in refusal(path)


def test_missing_empty_folder_and_device(tmp_path):
    empty = tmp_path / "empty.jpg"
    empty.touch()
    assert refusal(empty).startswith(f"{empty} is empty")
    assert refusal(tmp_path) == f"{tmp_path} is a folder; name an image inside it"
    assert refusal(tmp_path / "gone.jpg") == f"{tmp_path / 'gone.jpg'} does not exist; check the path"
    assert "device" in refusal("/dev/null")
    assert "is empty" in refusal(b"")


def test_an_unreadable_file(tmp_path, monkeypatch):
    path = tmp_path / "photo.jpg"
    path.touch()

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)  # the tests may run as root, whom no mode keeps out
    assert refusal(path) == f"{path} cannot be read (Permission denied); check its permissions"


@pytest.mark.parametrize("source", [None, 3, ["a.jpg"], io.StringIO("text")])
def test_objects_that_are_not_images(source):
    assert type(source).__name__ in refusal(source)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_arrays_of_another_kind(array):
    assert "expected uint8 (height, width, 3)" in refusal(array)


def test_a_pillow_image_of_another_kind():
    assert "convert it to RGB" in refusal(Image.new("F", (4, 4)))


BOMBS = {
    "png": png(30_000, 30_000, (b"IDAT", b"")),
    "jpeg": encode(PIXELS, "JPEG").replace(struct.pack(">HH", 13, 20), struct.pack(">HH", 30_000, 30_000)),
    "webp": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (29_999).to_bytes(3, "little") * 2,
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_from_its_header(tmp_path, kind):
    path = tmp_path / f"bomb.{kind}"
    path.write_bytes(BOMBS[kind])
    message = refusal(path)
    assert message.startswith(str(path)) and "pixels" in message
    assert "30,000 x 30,000" in message


def test_a_real_bomb_is_refused_before_it_is_decoded(monkeypatch):
    data = zlib.compress(bytes(20_000_000), 1)  # 20 MB of black lines in under 100 kB
    content = png(30_000, 30_000, (b"IDAT", data))
    assert len(content) < 100_000
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("it was decoded"))
    assert "over the limit" in refusal(content)


def test_the_limit_is_exact(monkeypatch):
    monkeypatch.setattr("geolib.images.MAX_PIXELS", 260)
    assert load_rgb(encode(PIXELS)).shape == PIXELS.shape
    monkeypatch.setattr("geolib.images.MAX_PIXELS", 259)
    assert "over the limit of 259" in refusal(encode(PIXELS))
    assert "20 x 13" in refusal(Image.fromarray(PIXELS))


@pytest.mark.parametrize(("limit", "part"), [(48 * 64, 1), (48 * 64 - 1, 2), (48 * 64 // 4, 2), (48 * 64 // 8, 4)])
def test_a_jpeg_over_the_limit_is_decoded_at_a_fraction(monkeypatch, limit, part):
    monkeypatch.setattr("geolib.images.MAX_PIXELS", limit)
    loaded = load_rgb(encode(smooth(), "JPEG", quality=95))
    assert loaded.shape == (48 // part, 64 // part, 3)
    reference = Image.fromarray(smooth()).resize(loaded.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(loaded.astype(int) - np.asarray(reference)).max() <= 8
    assert open_rgb(encode(smooth(), "JPEG"), min_side=24).size == (64 // max(part, 2), 48 // max(part, 2))


def test_a_jpeg_over_the_limit_that_would_be_decoded_as_a_whole_is_refused(monkeypatch):
    """Pillow's decoder keeps all of an image whose colours or details come in several scans."""
    whole, three_scans = encode(smooth(), "JPEG"), encode(smooth(), "JPEG", progressive=True)
    monkeypatch.setattr("geolib.images.MAX_PIXELS", 48 * 64 - 1)
    assert load_rgb(whole).shape == (24, 32, 3)
    assert "too many pixels" in refusal(three_scans)
    start = whole.index(b"\xff\xda")
    assert whole[start : start + 5] == b"\xff\xda\0\x0c\3"
    one_colour = whole[:start] + b"\xff\xda\0\x08\1\1\0\0\x3f\0" + whole[start + 14 :]
    assert "too many pixels" in refusal(one_colour)


def test_the_largest_phones_are_below_the_limits_and_hostile_sizes_above():
    assert MAX_PIXELS > 8064 * 6048 and MAX_JPEG_PIXELS > 16_320 * 12_240 > MAX_PIXELS


# PNG: what matters, and whether it is there


def with_chunk(content, kind, data, checksum=None, last=False):
    """A PNG with one more chunk, behind its header or before its end."""
    at = len(content) - 12 if last else 33
    chunk = kind + data
    crc = zlib.crc32(chunk) if checksum is None else checksum
    return content[:at] + struct.pack(">I", len(data)) + chunk + struct.pack(">I", crc) + content[at:]


MUCH = zlib.compress(bytes(3_000_000))
ANCILLARY = {
    "compressed text": (b"iTXt", b"note\0\1\0\0\0" + MUCH),
    "old compressed text": (b"zTXt", b"note\0\0" + MUCH),
    "long text": (b"tEXt", b"note\0" + b"x" * 2_000_000),
    "profile": (b"iCCP", b"name\0\0" + MUCH),
    "profile of an unknown kind": (b"iCCP", b"name\0\7" + MUCH),
    "EXIF in a text that unpacks to megabytes": (b"zTXt", b"Raw profile type exif\0\0" + MUCH),
    "XMP in a text that unpacks to megabytes": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + MUCH),
    "EXIF in a text that is no number": (b"tEXt", b"Raw profile type exif\0\n\n\nzz"),
    "short gamma": (b"gAMA", b"\0"),
    "animation of no frames": (b"acTL", b"\0"),
    "unknown": (b"teSt", b"anything"),
}


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", ANCILLARY)
def test_text_and_profiles_of_a_png_are_no_damage(kind, last):
    np.testing.assert_array_equal(load_rgb(with_chunk(encode(PIXELS), *ANCILLARY[kind], last=last)), PIXELS)
    wrong = with_chunk(encode(PIXELS), *ANCILLARY[kind], checksum=1, last=last)
    np.testing.assert_array_equal(load_rgb(wrong), PIXELS)


def test_a_wrong_checksum_of_transparency_or_exif_is_no_damage_to_the_pixels():
    for kind, data in ((b"tRNS", struct.pack(">HHH", *PIXELS[0, 0])), (b"eXIf", exif(6)[6:])):
        assert not np.array_equal(load_rgb(with_chunk(encode(PIXELS), kind, data)), PIXELS), kind
        np.testing.assert_array_equal(load_rgb(with_chunk(encode(PIXELS), kind, data, checksum=1)), PIXELS)


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt"])
def test_the_orientation_that_older_programs_write_as_text_still_counts(kind):
    content = exif(6)
    text = f"\nexif\n{len(content):8}\n{content.hex()}\n".encode()
    data = b"Raw profile type exif\0" + (b"\0" + zlib.compress(text) if kind == b"zTXt" else text)
    np.testing.assert_array_equal(load_rgb(with_chunk(encode(PIXELS), kind, data)), np.rot90(PIXELS, -1))


# (bits per channel, kind of colour, channels)
KINDS = [
    (1, 0, 1),
    (2, 0, 1),
    (4, 0, 1),
    (8, 0, 1),
    (16, 0, 1),
    (8, 2, 3),
    (16, 2, 3),
    (8, 4, 2),
    (16, 4, 2),
    (8, 6, 4),
]


@pytest.mark.parametrize(("bits", "colour", "channels"), KINDS)
def test_a_png_whose_pixels_end_early_is_refused(bits, colour, channels):
    """Pillow takes it as whole and fills up with black."""
    width, height = 21, 30
    row = 1 + (width * channels * bits + 7) // 8
    for missing in (1, row, 20 * row, height * row):
        data = (b"IDAT", zlib.compress(bytes(height * row - missing)))
        assert "pixel data end early" in refusal(png(width, height, data, bits=bits, colour=colour))
    whole = zlib.compress(bytes(height * row))
    for parts in ([whole], [whole[:5], b"", whole[5:]]):
        content = png(width, height, *((b"IDAT", part) for part in parts), bits=bits, colour=colour)
        assert load_rgb(content).shape == (height, width, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 2), (5, 4), (8, 8), (21, 30)])
def test_an_interlaced_png_is_measured_pass_by_pass(size):
    """The passes are counted by the pixels that they hold, by the order in the standard."""
    width, height = size
    order = np.array([[int(x) for x in row] for row in (
        "16462646", "77777777", "56565656", "77777777", "36463646", "77777777", "56565656", "77777777",
    )])  # fmt: skip
    passes = np.tile(order, (5, 5))[:height, :width]
    rows = [int((row == n).sum()) for n in range(1, 8) for row in passes if (row == n).any()]
    whole = b"".join(b"\0" + b"\xff" * 3 * columns for columns in rows)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)

    def content(data):
        empty = png(width, height, (b"IDAT", zlib.compress(data)))
        return empty[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + empty[33:]

    assert (load_rgb(content(whole)) == 255).all()
    assert "pixel data end early" in refusal(content(whole[:-1]))


def test_a_png_is_refused_for_a_wrong_checksum_of_its_pixels_or_a_missing_end():
    content = encode(PIXELS)
    at = content.index(b"IDAT") + 10
    assert "checksum" in refusal(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    assert "damaged" in refusal(content[:-12])
    for kept in (0.3, 0.7, 0.97):
        part = content[: int(kept * len(content))]
        assert "damaged" in refusal(part + bytes(len(content) - len(part)))
    np.testing.assert_array_equal(load_rgb(content + bytes(1000)), PIXELS)


def test_a_png_with_two_headers_cannot_hide_its_size():
    second = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    assert "two headers" in refusal(with_chunk(encode(PIXELS), b"IHDR", second))


def test_a_png_that_unpacks_to_more_than_its_pixels_is_measured_in_little_memory():
    content = png(1000, 1000, (b"IDAT", zlib.compress(bytes(200_000_000), 1)))
    tracemalloc.start()
    assert open_rgb(content).size == (1000, 1000)
    _, peak = tracemalloc.get_traced_memory()  # of Python; Pillow's own memory for the pixels is not counted
    tracemalloc.stop()
    assert peak < 40_000_000


# JPEG and the others


def test_a_jpeg_whose_end_is_zeros_is_refused():
    """As a download leaves it that was cut, in a file that had its full length from the start."""
    content = encode(RNG.integers(0, 256, (160, 240, 3), dtype=np.uint8), "JPEG")
    for kept in (0.5, 0.9, 0.99):
        part = content[: int(kept * len(content))]
        assert "end marker" in refusal(part + bytes(len(content) - len(part)))
    np.testing.assert_array_equal(load_rgb(content + bytes(5000)), load_rgb(content))


def test_a_jpeg_with_fewer_bytes_than_its_pixels_need_is_refused_at_once(monkeypatch):
    few = encode(PIXELS, "JPEG").replace(struct.pack(">HH", 13, 20), struct.pack(">HH", 12_240, 16_320))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("it was decoded"))
    assert "too few bytes for its pixels" in refusal(few) and "16,320 x 12,240" in refusal(few)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_of_one_colour_has_bytes_enough(mode, progressive):
    """The emptiest images that there are, packed as tightly as encoders can."""
    image = Image.new(mode, (4000, 3000), "white")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=1, optimize=True, progressive=progressive)
    assert open_rgb(buffer.getvalue(), min_side=300).size == (500, 375)


@pytest.mark.parametrize("padding", [b"\xff", b"\xff\0"])
def test_padding_in_the_header_of_a_jpeg_is_bounded(padding):
    """Pillow reads it byte by byte: megabytes take seconds."""
    content = encode(PIXELS, "JPEG")
    np.testing.assert_array_equal(load_rgb(content[:2] + padding * 1000 + content[2:]), load_rgb(content))
    assert "padding" in refusal(content[:2] + padding * 100_000 + content[2:])


@pytest.mark.parametrize("kind", ["VP8 ", "VP8L", "VP8X"])
def test_the_size_of_a_webp_is_known_before_its_decoder_is_made(monkeypatch, kind):
    options = {"VP8 ": {}, "VP8L": {"lossless": True}, "VP8X": {"exif": exif(1)}}[kind]
    content = encode(PIXELS, "WEBP", **options)
    assert content[12:16] == kind.encode()
    monkeypatch.setattr("geolib.images.MAX_PIXELS", 259)
    monkeypatch.setattr("PIL.WebPImagePlugin.WebPImageFile._open", lambda _: pytest.fail("the decoder was made"))
    assert "20 x 13" in refusal(content)


@pytest.mark.parametrize("brand", ["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1"])
def test_every_brand_of_heic_is_known(brand):
    heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    heif.from_pillow(Image.fromarray(smooth())).save(buffer, quality=90)
    content = buffer.getvalue()
    branded = content[:8] + brand.encode() + content[12:]
    np.testing.assert_array_equal(load_rgb(branded), load_rgb(content))


def test_a_caller_can_set_a_lower_limit():
    assert "over the limit of 259" in refusal_of(lambda: open_rgb(encode(PIXELS), max_pixels=259))
    assert open_rgb(encode(PIXELS), max_pixels=260).size == (20, 13)
    assert open_rgb(encode(smooth(), "JPEG"), max_pixels=48 * 64 // 4).size == (32, 24)
    assert "over the limit" in refusal_of(lambda: open_rgb(Image.fromarray(PIXELS), max_pixels=259))


def test_sizes_at_which_pillow_warns_give_no_warning(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # as if the image were 25 times over Pillow's own limit
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(load_rgb(encode(PIXELS)), PIXELS)
        assert load_rgb(encode(PIXELS, "JPEG")).shape == PIXELS.shape


def test_an_image_without_pixels_is_refused():
    assert "has no pixels" in refusal(png(0, 5, (b"IDAT", b"")))
    assert "has no pixels" in refusal(Image.new("RGB", (0, 5)))


def test_threads_do_not_interfere_and_pillows_limit_stays():
    before, wrong = Image.MAX_IMAGE_PIXELS, []

    def work(content, expected):
        for _ in range(10):
            try:
                if not np.array_equal(load_rgb(content), expected):
                    wrong.append("other pixels")
            except ImageError as error:
                if expected is not None:
                    wrong.append(error)

    jobs = [(encode(PIXELS), PIXELS), (BOMBS["png"], None), (encode(smooth()), smooth()), (b"text", None)]
    threads = [threading.Thread(target=work, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and before == Image.MAX_IMAGE_PIXELS


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns of the damage before it raises
@given(
    format=st.sampled_from(["JPEG", "PNG", "WEBP"]),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(1, 255)), max_size=6),
    kept=st.floats(0, 1),
)
def test_damaged_bytes_give_pixels_or_an_image_error(format, flips, kept):
    content = bytearray(encode(PIXELS, format, exif=exif(6, gps=True)))
    for where, change in flips:
        content[int(where * len(content))] ^= change
    try:
        loaded = load_rgb(bytes(content[: int(kept * len(content))]))
    except ImageError as error:
        assert str(error).startswith("the bytes given ")
    else:
        assert loaded.dtype == np.uint8 and loaded.ndim == 3
