"""Image files made in the test: small pictures, and PNG whose parts can be chosen one by one."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def picture(seed=0, kind="JPEG", **options):
    """The bytes of a small picture of soft colours; `options` are those of Pillow's `save`."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize((80, 60), Image.Resampling.BICUBIC).save(stream, kind, **options)
    return stream.getvalue()


def png(width, height, *chunks, bits=8, colour=2):
    """A PNG built by hand: its header may promise what the data does not hold."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body
