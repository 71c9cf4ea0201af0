"""What PNG, WEBP and JPEG files tell before a pixel is decoded: their size, and whether they are whole."""

from __future__ import annotations

import io
import struct
import zlib
from typing import IO, Any

from PIL.JpegImagePlugin import JpegImageFile

from geolib.common.errors import ImageError

_PNG = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a PNG, by its kind of colour
# First column and row of each pass of an interlaced PNG, and the steps to the next ones.
_PASSES = (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
_KEPT = b"IHDR", b"PLTE", b"tRNS", b"eXIf"
_EXIF_AS_TEXT = b"Raw profile type exif\0", b"XML:com.adobe.xmp\0"  # in which Pillow finds an orientation or GPS
_MOST_TEXT = 1_000_000  # bytes of a text when it is unpacked


def header_size(head: bytes) -> tuple[int, int] | None:
    r"""Width and height, from the first 30 bytes of a PNG or a WEBP (whose decoder allocates memory before it tells).

    None for other files. Raises `struct.error` if the bytes are too few.

    >>> header_size(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + struct.pack(">II", 640, 480))
    (640, 480)
    """
    if head[12:16] == b"IHDR":
        width, height = struct.unpack(">II", head[16:24])
        return width, height
    if head[8:16] == b"WEBPVP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if head[8:16] == b"WEBPVP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if head[8:16] == b"WEBPVP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def clean_png(stream: IO[bytes], pixels: bool = True) -> IO[bytes]:
    """A PNG with pixels, palette, transparency and EXIF only; without `pixels`, its header and EXIF only.

    Other texts and profiles are skipped. So is an ancillary chunk with a wrong checksum: it is no damage to the pixels.
    Raises `ValueError` if a chunk of the image is damaged, or if the file or the pixel data end early.
    """
    end = stream.seek(0, io.SEEK_END)
    stream.seek(len(_PNG))
    kept: dict[bytes, bytes] = {}
    data: list[bytes] = []
    kind = b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", stream.read(8))
        if stream.tell() + length + 4 > end:
            raise ValueError(f"the file ends inside its part {kind!r}")
        optional = bool(kind[0] & 0x20)
        text = optional and kind in (b"tEXt", b"zTXt", b"iTXt")
        if not (kind in _KEPT or text or (kind == b"IDAT" and pixels)):
            stream.seek(length + 4, io.SEEK_CUR)
            continue
        body, checksum = stream.read(length), int.from_bytes(stream.read(4), "big")
        if zlib.crc32(kind + body) != checksum:
            if optional:
                continue
            raise ValueError(f"wrong checksum of its part {kind!r}")
        if kind == b"IDAT":
            data.append(body)
        elif kind == b"IHDR" and kept:
            raise ValueError("two headers")
        elif not text or _is_exif(kind, body):
            kept.setdefault(kind, body)
    if pixels:
        _check_pixels(kept.get(b"IHDR", b""), data)
    clean = io.BytesIO()
    clean.write(_PNG)
    for kind, body in [*kept.items(), *((b"IDAT", body) for body in data or [b""]), (b"IEND", b"")]:
        clean.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))
    clean.seek(0)
    return clean


def _is_exif(kind: bytes, text: bytes) -> bool:
    """Whether a text chunk holds EXIF or XMP, and not too much of it when it is unpacked."""
    if not text.startswith(_EXIF_AS_TEXT) or len(text) > _MOST_TEXT:
        return False
    value = text.partition(b"\0")[2]
    if kind != b"zTXt":
        return kind == b"tEXt" or value[:1] == b"\0"  # a compressed iTXt is not read
    unpack = zlib.decompressobj()
    try:
        unpack.decompress(value[1:], _MOST_TEXT)
    except zlib.error:
        return False
    return not unpack.unconsumed_tail


def _check_pixels(header: bytes, data: list[bytes]) -> None:
    """Raises `ValueError` if the packed data of a PNG hold fewer pixels than its header says."""
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    missing = 0
    for x, y, dx, dy in _PASSES if interlaced else [(0, 0, 1, 1)]:
        columns, rows = -(-(width - x) // dx), -(-(height - y) // dy)
        if columns > 0 and rows > 0:
            missing += rows * (1 + (columns * bits * _CHANNELS[colour] + 7) // 8)
    unpack = zlib.decompressobj()
    for body in data:
        for start in range(0, len(body), 1 << 14):  # 16 kB unpack to 17 MB at most
            if missing <= 0:
                return
            missing -= len(unpack.decompress(body[start : start + (1 << 14)]))
    if missing > 0:
        raise ValueError("the pixel data end early")


def check_size(size: tuple[int, int], limit: int) -> None:
    """Raises `ImageError` for an image without pixels or with more than `limit`."""
    width, height = size
    if width * height == 0:
        raise ImageError(f"has no pixels ({width} x {height}); save it again")
    if width * height > limit:
        raise ImageError(f"has too many pixels ({width:,} x {height:,}, over the limit of {limit:,}); make it smaller")


def check_jpeg(image: JpegImageFile, pixels: bool) -> bool:
    """Whether a JPEG of which the header has been read can be decoded row by row, in little memory.

    Raises `ImageError` for fewer than a thousandth of a byte per pixel. With `pixels`, raises `ValueError` where no end
    marker follows: zeros may fill up a file that was cut short.
    """
    stream, length = image.fp, 6 + 2 * image.layers
    assert stream is not None  # it is open
    scan = stream.tell() - length  # the header of the first scan, which should hold all colours
    size = stream.seek(0, io.SEEK_END)
    if image.width * image.height > 1000 * size:  # a pixel takes 1/500 byte at least: 1 bit per block of 8 x 8
        what = f"{size:,} bytes for {image.width:,} x {image.height:,}"
        raise ImageError(f"has too few bytes for its pixels ({what}); copy or download it again")
    stream.seek(scan)
    by_rows = stream.read(length)[:3] == struct.pack(">HB", length, image.layers)
    last = b""
    while pixels:
        if not (block := stream.read(1 << 20)):
            raise ValueError("it has no end marker")
        if b"\xff\xd9" in last + block:
            break
        last = block[-1:]
    return by_rows and "progressive" not in image.info


class Patient:
    """A file that refuses to be read byte by byte for long, as Pillow does with padding in the header of a JPEG."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._short_reads = stream, 0

    def read(self, size: int = -1) -> bytes:
        """As that of the file. Raises `ValueError` after 50,000 reads of one or two bytes."""
        self._short_reads += 0 <= size <= 2
        if self._short_reads > 50_000:
            raise ValueError("too much padding in its header")
        return self._stream.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
