"""Photographs to pixels, and to nothing but pixels.

What surrounds the pixels in a file (EXIF with its coordinates, XMP, comments, file names) never leaves
this module: a geolocator that could read it would not need to look at the picture. Only the orientation
is used, to turn the picture upright. ICC profiles are dropped, not applied: the preprocessing that CLIP
models were trained with ignores them too, so applying them would show a model colours it has not learnt.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from geolib.common.errors import ImageError

Decoder = Callable[[IO[bytes]], ImageFile.ImageFile]
ImageSource = str | os.PathLike[str] | bytes | IO[bytes] | npt.NDArray[np.uint8] | Image.Image
MAX_PIXELS = 210_000_000  # the largest sensors in phones write 16,320 x 12,240, which is 200 million
# The decoders by their first bytes. They are called directly, not through `Image.open`, whose pixel limit is
# one global for the whole process and warns or raises at sizes that phones reach. The JPEG decoder reads
# the first picture of an MPO, which is a JPEG with more pictures behind it.
_DECODERS: tuple[tuple[bytes, Decoder], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"RIFF", WebPImageFile),
)
# Phones write HEIC, which Pillow cannot read; an optional package does. It begins with a length, then one of these.
_HEIC = {b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"mif1")}
_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Failure:
    """A photo without an answer, and why."""

    image: str
    reason: str


def answer_each(ask: Callable[[ImageSource], Answer], images: Iterable[ImageSource]) -> list[Answer | Failure]:
    """What `ask` says of each image, in order; one that raises `ImageError` gives a `Failure` in its place."""
    answers: list[Answer | Failure] = []
    for image in images:
        try:
            answers.append(ask(image))
        except ImageError as error:
            name = os.fspath(image) if isinstance(image, str | os.PathLike) else type(image).__name__
            answers.append(Failure(str(name), str(error)))
    return answers


def load_rgb(
    source: ImageSource, *, max_pixels: int = MAX_PIXELS, min_side: int | None = None
) -> npt.NDArray[np.uint8]:
    """Pixels of a photograph, uint8 (height, width, 3), upright; see `open_rgb`."""
    return np.array(open_rgb(source, max_pixels=max_pixels, min_side=min_side))


def open_rgb(source: ImageSource, *, max_pixels: int = MAX_PIXELS, min_side: int | None = None) -> Image.Image:
    """Decode a photograph into an upright RGB picture that carries no metadata.

    source: a path, the bytes of a file or a binary file object (JPEG, PNG or WEBP, and HEIC where pillow-heif is
        installed; of an animation the first frame), a uint8 array (height, width, 3), or a Pillow image.
    max_pixels: a file whose header promises more is refused before anything is decoded.
    min_side: decode a JPEG at 1/2, 1/4 or 1/8 of its size where its short side then still has at least this
        many pixels. Several times faster; the pixels differ slightly from those of a full decode that is
        scaled down afterwards.

    Transparency is shown on white; 16 bits a channel keep their upper 8.
    Raises `ImageError`, naming the file, for all that is not a whole picture of these kinds.
    """
    with ExitStack() as stack:
        try:
            picture = _open(source, stack)
            _check_size(picture.size, max_pixels)
            if min_side and isinstance(picture, JpegImageFile) and picture is not source:
                picture.draft(None, (min_side, min_side))
            picture.load()
            return _turned(_as_rgb(picture), _orientation(picture))
        except ImageError as error:
            raise ImageError(f"{_name(source)} {error}") from error.__cause__
        except Image.DecompressionBombError as error:  # of the WEBP decoder, before it tells the size
            raise ImageError(f"{_name(source)} has too many pixels ({error}); make it smaller") from error
        except Exception as error:  # on hostile bytes the decoders raise nearly anything
            raise ImageError(
                f"{_name(source)} is damaged or cut short ({error or type(error).__name__}); copy or download it again"
            ) from error


def _open(source: ImageSource, stack: ExitStack) -> Image.Image:
    """A picture with its header read; what has to be closed is left to `stack`."""
    if isinstance(source, Image.Image):
        return source
    if isinstance(source, np.ndarray):
        return _from_array(source)
    stream = _stream(source, stack)
    stream.seek(0)
    head = stream.read(12)
    stream.seek(0)
    decoder = decoder_of(head)
    if decoder is not None:
        return stack.enter_context(decoder(stream))
    if not head:
        raise ImageError("is empty; copy or download it again")
    raise ImageError(f"is not a JPEG, PNG or WEBP file (it begins with {head!r}); convert it to one of these")


def decoder_of(head: bytes) -> Decoder | None:
    """The decoder of a picture that begins so (12 bytes are enough), None for what is no picture of the accepted kinds.

    Raises `ImageError` for a HEIC photo where the optional package pillow-heif is not installed.
    """
    found = next((decoder for magic, decoder in _DECODERS if head.startswith(magic)), None)
    if found is None and head[4:12] in _HEIC:
        try:
            from pillow_heif import HeifImageFile
        except ImportError as error:
            raise ImageError("is a HEIC photo: `pip install pillow-heif` to read it, or convert it to JPEG") from error
        found = HeifImageFile
    return found


def _stream(source: Any, stack: ExitStack) -> IO[bytes]:
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if hasattr(source, "read"):
        stream: IO[bytes] = source if source.seekable() else io.BytesIO(source.read())
        return stream
    if not isinstance(source, str | os.PathLike):
        raise ImageError("is no picture: expected a path, bytes, a binary file, a uint8 array or a Pillow image")
    try:
        mode = Path(source).stat().st_mode
        if stat.S_ISDIR(mode):
            raise ImageError("is a folder; name a photo inside it")
        if not stat.S_ISREG(mode):
            raise ImageError("is a device or a pipe; expected a file")
        return stack.enter_context(open(source, "rb"))
    except FileNotFoundError as error:
        raise ImageError("does not exist; check the path") from error
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror}); check its permissions") from error


def _from_array(array: npt.NDArray[Any]) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ImageError(
            f"of {array.dtype} {array.shape} is no picture: expected uint8 (height, width, 3) with values 0 to 255"
        )
    return Image.fromarray(np.ascontiguousarray(array))


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"is {width} x {height} pixels: there is nothing to see; save it again")
    if width * height > max_pixels:
        raise ImageError(
            f"is {width:,} x {height:,} pixels, over the limit of {max_pixels:,}; "
            "make it smaller, or raise max_pixels if you trust the file"
        )


def _as_rgb(picture: Image.Image) -> Image.Image:
    """A new RGB picture of any accepted mode, without metadata."""
    if picture.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255. Keeping the upper byte is what it does with 16-bit colour.
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode not in _MODES:
        raise ImageError(f"has pixels of kind {picture.mode!r}; convert it to RGB")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    rgb = picture.convert("RGB")
    rgb.info = {}
    return rgb


def _orientation(picture: Image.Image) -> Any:
    try:
        return picture.getexif().get(0x0112, 1)
    except Exception:  # unreadable EXIF is no fault of the pixels: show them as they are stored
        return 1


def _turned(picture: Image.Image, orientation: Any) -> Image.Image:
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return picture if turn is None else picture.transpose(turn)


def _name(source: ImageSource) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source) or "''"
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else f"the {type(source).__name__} given"
