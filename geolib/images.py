"""From an image file to upright RGB pixels, and nothing else from the file.

EXIF with its coordinates, XMP, comments and file names do not leave this module: a geolocator that could read them
would not need to look at the image. Only the orientation is used. Colour profiles (ICC) are ignored, as in CLIP's
training.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from geolib.common.errors import ImageError
from geolib.common.formats import Patient, check_jpeg, check_size, clean_png, header_size

ImageSource = str | os.PathLike[str] | bytes | IO[bytes] | npt.NDArray[np.uint8] | Image.Image
Decoder = Callable[[Any], ImageFile.ImageFile]

MAX_PIXELS = 50_000_000  # decoded at once: up to 1 GB with the copies. Phones write HEIC files of 49 million
MAX_JPEG_PIXELS = 210_000_000  # above MAX_PIXELS, decoded at a fraction: phones write JPEGs of 16,320 x 12,240
# First bytes of a file and its decoder, called directly: `Image.open` has one pixel limit for the whole process, below
# the sizes of phone photos. An MPO file is a JPEG followed by further images.
_DECODERS: tuple[tuple[bytes, Decoder], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"RIFF", WebPImageFile),
)
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_HEIC = {b"ftyp" + brand for brand in _BRANDS}  # bytes 4 to 12 of a phone's HEIC
_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
T = Image.Transpose
_TURNS = (T.FLIP_LEFT_RIGHT, T.ROTATE_180, T.FLIP_TOP_BOTTOM, T.TRANSPOSE, T.ROTATE_270, T.TRANSVERSE, T.ROTATE_90)
_UPRIGHT = dict(enumerate(_TURNS, start=2))  # what turns an image upright, by its EXIF orientation


def load_rgb(source: ImageSource) -> npt.NDArray[np.uint8]:
    """Pixels of an image, uint8 (height, width, 3). Takes and raises what `open_rgb` does.

    >>> load_rgb(Image.new("L", (4, 2), "white")).shape
    (2, 4, 3)
    """
    return np.array(open_rgb(source))


def open_rgb(source: ImageSource, *, min_side: int | None = None) -> Image.Image:
    """Decode an image to upright RGB without metadata. Transparency becomes white; of 16 bits the upper 8 are kept.

    A damaged PNG is refused, because it has checksums. JPEG, WEBP and HEIC have none: they are refused where they are
    cut short or cannot be decoded, but a file with some wrong bytes gives wrong pixels.

    Parameters
    ----------
    source : a path, the bytes of a file, a binary file object, a uint8 array (height, width, 3), or a Pillow image.
        Files are JPEG, PNG, WEBP, or HEIC if pillow-heif is installed. Of an animation, the first frame is used.
    min_side : decode a JPEG at 1/2, 1/4 or 1/8 of its size if its short side keeps at least this many pixels: several
        times faster, with slightly other pixels than a full decode that is scaled down.

    Raises `ImageError` with the name of the file, if it is not a complete image or has more than `MAX_PIXELS`. A JPEG
    with more than that, up to `MAX_JPEG_PIXELS`, is decoded at 1/2 of its size or less.

    >>> open_rgb(np.zeros((2, 4, 3), np.uint8)).size
    (4, 2)
    >>> open_rgb(b"")
    Traceback (most recent call last):
    geolib.common.errors.ImageError: the bytes given is empty; copy or download it again
    """
    with opened(source) as image:
        if isinstance(image, JpegImageFile) and image is not source:
            width, height = image.size
            part = next(n for n in (1, 2, 4, 8) if width * height <= MAX_PIXELS * n * n)
            image.draft(None, (min(width // part, min_side or width), min(height // part, min_side or height)))
        image.load()
        return _turn_upright(_to_rgb(image), image)


@contextmanager
def opened(source: ImageSource, *, pixels: bool = True) -> Iterator[Image.Image]:
    """An image of which the header is read and the size is checked; without `pixels`, it can only give its metadata.

    Takes and raises what `open_rgb` does, and names the file in errors of the `with` block, too.
    """
    name = name_of(source)
    with ExitStack() as stack:
        try:
            image = _open(source, stack, pixels)
            by_rows = isinstance(image, JpegImageFile) and image is not source and check_jpeg(image, pixels)
            check_size(image.size, MAX_JPEG_PIXELS if by_rows else MAX_PIXELS)
            yield image
        except ImageError as error:
            raise ImageError(f"{name} {error}") from error.__cause__
        except Exception as error:  # on hostile bytes the decoders raise nearly anything
            reason = error or type(error).__name__
            raise ImageError(f"{name} is damaged or cut short ({reason}); copy or download it again") from error


def decoder_of(head: bytes) -> Decoder | None:
    """The decoder of a file that begins with these 12 bytes, or None. Raises `ImageError` if HEIC lacks pillow-heif."""
    if head[4:12] in _HEIC:
        try:
            from pillow_heif import HeifImageFile
        except ImportError as error:
            raise ImageError("is a HEIC photo: `pip install pillow-heif` to read it, or convert it to JPEG") from error
        heic: Decoder = HeifImageFile
        return heic
    return next((decoder for magic, decoder in _DECODERS if head.startswith(magic)), None)


def _open(source: Any, stack: ExitStack, pixels: bool) -> Image.Image:
    """An image of which only the header has been read; `stack` closes its file."""
    if isinstance(source, Image.Image):
        return source
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3 or source.size == 0:
            raise ImageError(f"is {source.dtype} {source.shape}: expected uint8 (height, width, 3), values 0 to 255")
        return Image.fromarray(np.ascontiguousarray(source))
    stream = _stream(source, stack)
    stream.seek(0)
    head = stream.read(30)
    stream.seek(0)
    if not head:
        raise ImageError("is empty; copy or download it again")
    if (decoder := decoder_of(head)) is None:
        raise ImageError(f"is not a JPEG, PNG or WEBP file (it begins with {head[:12]!r}); convert it to one of these")
    if size := header_size(head):
        check_size(size, MAX_PIXELS)
    return stack.enter_context(decoder(clean_png(stream, pixels) if decoder is PngImageFile else Patient(stream)))


def _stream(source: Any, stack: ExitStack) -> IO[bytes]:
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if hasattr(source, "read"):
        stream: IO[bytes] = source if source.seekable() else io.BytesIO(source.read())
        return stream
    if not isinstance(source, str | os.PathLike):
        raise ImageError("is not an image: expected a path, bytes, a binary file, a uint8 array or a Pillow image")
    try:
        mode = Path(source).stat().st_mode
        if stat.S_ISDIR(mode):
            raise ImageError("is a folder; name an image inside it")
        if not stat.S_ISREG(mode):
            raise ImageError("is a device or a pipe; expected a file")
        return stack.enter_context(open(source, "rb"))
    except FileNotFoundError as error:
        raise ImageError("does not exist; check the path") from error
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror}); check its permissions") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow's own conversion would clip at 255
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode not in _MODES:
        raise ImageError(f"has pixels of kind {image.mode!r}; convert it to RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    rgb = image.convert("RGB")
    rgb.info = {}
    return rgb


def _turn_upright(rgb: Image.Image, original: Image.Image) -> Image.Image:
    try:
        turn = _UPRIGHT.get(original.getexif().get(0x0112, 1))
    except Exception:  # unreadable EXIF says nothing about the pixels: leave them as they are
        turn = None
    return rgb if turn is None else rgb.transpose(turn)


def name_of(source: Any) -> str:
    """What an error calls an image: the path, or "the bytes given"."""
    name = os.fspath(source) if isinstance(source, str | os.PathLike) else getattr(source, "name", None)
    if isinstance(name, str):
        return name or "''"
    return f"the {type(source).__name__} given"


@dataclass(frozen=True)
class Failure:
    """An image that could not be read, and why.

    >>> Failure("a.jpg", "a.jpg does not exist").reason
    'a.jpg does not exist'
    """

    image: str
    reason: str
