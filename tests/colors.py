"""Profiles, and files that declare their colours, which several files of tests make."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, ImageCms


def p3_profile() -> bytes:
    """The profile of sRGB with the colorants of Display P3, as published by Apple, in place of its own."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green, blue = (0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)
    colorants = {b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue}
    for entry in range(132, 132 + 12 * int.from_bytes(data[128:132], "big"), 12):
        if (name := bytes(data[entry : entry + 4])) in colorants:
            place = int.from_bytes(data[entry + 4 : entry + 8], "big") + 8
            data[place : place + 12] = b"".join(round(v * 65536).to_bytes(4, "big", signed=True) for v in colorants[name])
    return bytes(data)


def grey_profile(gamma: float = 1.0) -> bytes:
    """A profile of grey levels, whose light is a power of them."""
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)  # D50
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    table = struct.pack(">I4sII4sII", 2, b"wtpt", 156, len(white), b"kTRC", 156 + len(white), len(curve))
    size = 156 + len(white) + len(curve)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02100000, b"mntr", b"GRAY", b"XYZ ") + bytes(12) + b"acsp"
    return head + bytes(28) + struct.pack(">3i", 63190, 65536, 54061) + bytes(48) + table + white + curve


def encoded(kind: str, image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """A PNG file with these chunks behind its header."""
    return png[:33] + b"".join(chunks) + png[33:]
