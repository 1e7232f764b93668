"""Damages pictures of every readable format and reads them: each gives a picture or an ImageError, soon, and nothing else.

python tests/fuzz.py --count 100000 --seed 0

The pictures are decoded by workers, so that one that ends its process is counted, and named with the seed that makes it again.
Each is decoded twice, by processes whose memory is filled differently before (glibc's MALLOC_PERTURB_): what differs shows
memory that no decoder wrote to.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageCms

from nst_adain.errors import ImageError
from nst_adain.images.io import load_image
from nst_adain.images.opening import register_heic

CASES = Path(__file__).with_name("cases")
MAX_PIXELS = 50_000_000
_BLOCK = 1000  # pictures that one process reads
SLOW, LARGE = 10.0, 1536.0  # seconds and MiB beyond which a picture counts as a fault


def seeds() -> dict[str, bytes]:
    """Small whole files of every kind that can be read, by name and suffix."""
    rgb = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)).resize(
        (37, 29), Image.Resampling.BICUBIC
    )
    srgb = ImageCms.createProfile("sRGB")
    profile = ImageCms.ImageCmsProfile(srgb).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    made: dict[str, bytes] = {}

    def add(name: str, kind: str, image: Image.Image, **options: object) -> None:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        made[name] = buffer.getvalue()

    def tiff(name: str, pixels: np.ndarray, **options: object) -> None:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, pixels, metadata=None, **options)
        made[f"{name}.tif"] = buffer.getvalue()

    rgba, grey = rgb.convert("RGBA"), rgb.convert("L")
    rgba.putalpha(grey)
    grey16 = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        add(f"{mode}.png", "PNG", rgba.convert(mode) if "A" in mode else rgb.convert(mode))
    add("I16.png", "PNG", grey16, transparency=1000)
    add("profile.png", "PNG", rgb, icc_profile=profile, exif=exif)
    add("animated.png", "PNG", rgb, save_all=True, append_images=[grey.convert("RGB")])
    for mode in ("L", "RGB", "CMYK"):
        add(f"{mode}.jpg", "JPEG", rgb.convert(mode), quality=80)
    add("progressive.jpg", "JPEG", rgb, progressive=True, icc_profile=profile, exif=exif)
    add("restart.jpg", "JPEG", rgb, restart_marker_rows=1, subsampling=2)
    add("animated.gif", "GIF", rgb, save_all=True, append_images=[grey], comment=b"comment")
    add("clear.gif", "GIF", rgb.convert("P"), transparency=3)
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        add(f"{mode}.bmp", "BMP", rgba.convert(mode) if mode == "RGBA" else rgb.convert(mode))
    made["rle.bmp"] = _rle()
    for kind, suffix in (("WEBP", "webp"), ("AVIF", "avif"), ("JPEG2000", "jp2")):
        for image in (rgb, rgba):
            add(f"{image.mode}.{suffix}", kind, image)
    add("lossless.webp", "WEBP", rgba, lossless=True, exif=exif)
    add("animated.webp", "WEBP", rgb, save_all=True, append_images=[grey.convert("RGB")])
    add("code.j2k", "JPEG2000", rgb, no_jp2=True, tile_size=(16, 16))
    if register_heic():
        add("RGB.heic", "HEIF", rgb)
    for mode, compression in (("L", None), ("RGB", "tga_rle"), ("RGBA", None), ("P", None)):
        add(f"{mode}.tga", "TGA", rgba.convert(mode) if mode == "RGBA" else rgb.convert(mode), compression=compression)
    for mode, suffix in (("1", "pbm"), ("L", "pgm"), ("RGB", "ppm")):
        add(f"binary.{suffix}", "PPM", rgb.convert(mode))
    made["text.pbm"] = b"P1 # comment\n3 2\n1 0 1\n010"
    made["text.pgm"] = b"P2\n3 2 # comment\n7\n1 2 3\n4 5 6\n"
    made["text.ppm"] = b"P3\n2 1\n255\n1 2 3 # comment\n4 5 6\n"
    made["deep.pgm"] = b"P5 5 4 1000\n" + np.arange(20).astype(">u2").tobytes()
    pixels = np.asarray(rgb)
    for compression in (None, "lzw", "deflate", "packbits", "lzma", "zstd", "jpeg", "webp", "jpeg2000"):
        tiff(f"{compression}_RGB", pixels, photometric="rgb", compression=compression)
    for compression in (None, "lzw", "deflate", "packbits", "jpeg"):
        tiff(f"{compression}_L", pixels[..., 0], photometric="minisblack", compression=compression)
        tiff(f"{compression}_tiles", pixels, photometric="rgb", compression=compression, tile=(16, 16))
    tiff("ycbcr", pixels, photometric="ycbcr", compression="jpeg", subsampling=(2, 2))
    tiff("negative", pixels[..., 0], photometric="miniswhite", rowsperstrip=4)
    tiff(
        "planes",
        pixels.astype(np.uint16).transpose(2, 0, 1) * 257,
        photometric="rgb",
        planarconfig="separate",
        compression="lzw",
    )
    tiff("bits", pixels[..., 0] > 99, photometric="minisblack", compression="deflate")
    tiff("float", (pixels / 255).astype(np.float32), photometric="rgb", compression="deflate", predictor=True)
    tiff("half", (pixels[..., 0] / 255).astype(np.float16), photometric="minisblack")
    tiff("int32", pixels[..., 0].astype(np.int32) * 200, photometric="minisblack", compression="lzw", predictor=True)
    tiff("uint32", pixels.astype(np.uint32) << 24, photometric="rgb")
    tiff("palette", pixels[..., 0], photometric="palette", colormap=np.arange(768, dtype=np.uint16).reshape(3, 256) * 80)
    tiff("alpha", np.asarray(rgba), photometric="rgb", extrasamples=["unassalpha"], compression="deflate", bigtiff=True)
    tiff("premultiplied", np.asarray(rgba), photometric="rgb", extrasamples=["assocalpha"], byteorder=">")
    lab = ImageCms.profileToProfile(rgb, srgb, ImageCms.createProfile("LAB"), outputMode="LAB")
    assert lab is not None
    add("lab.tif", "TIFF", lab)
    for mode, compression in (("1", "group4"), ("1", "group3"), ("CMYK", "tiff_lzw"), ("P", "tiff_lzw")):
        image = rgb.convert(mode)
        add(f"{mode}_{compression}.tif", "TIFF", image, compression=compression, icc_profile=profile, exif=exif)
    return made


def _rle() -> bytes:
    """A run-length BMP of 8 x 4 pixels, which Pillow reads and does not write."""
    data, palette = bytes([8, 3, 0, 0]) * 4 + b"\0\1", bytes(range(256)) * 4
    start = 14 + 40 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, 8, 4, 1, 8, 1, len(data), 0, 0, 256, 256)
    return struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start) + header + palette + data


def damaged(data: bytes, draw: np.random.Generator) -> bytes:
    """A file with one to eight faults: bytes and bits changed, numbers made extreme, parts cut out, doubled, or cut off."""
    changed = bytearray(data)
    for _ in range(int(draw.integers(1, 9)) if draw.random() < 0.7 else 1):
        if not changed:
            break
        # Half of the faults are where formats keep their numbers.
        at = int(draw.integers(min(len(changed), 200) if draw.random() < 0.5 else len(changed)))
        kind = draw.integers(7)
        length = int(draw.integers(1, 1 + min(64, len(changed))))
        if kind == 0:
            changed[at] = int(draw.integers(256))
        elif kind == 1:
            changed[at] ^= 1 << int(draw.integers(8))
        elif kind == 2:
            extreme = draw.choice([0, 1, 0x7F, 0x80, 0xFF])
            changed[at : at + int(draw.choice([1, 2, 4, 8]))] = bytes([extreme]) * int(draw.choice([1, 2, 4, 8]))
        elif kind == 3:
            del changed[at : at + length]
        elif kind == 4:
            changed[at:at] = changed[at : at + length] * int(draw.integers(1, 5))
        elif kind == 5 and draw.random() < 0.3:
            del changed[at:]
        else:
            changed[at : at + length] = draw.bytes(length)
    return bytes(changed)


def read(path: Path) -> str:
    """What becomes of a file, in a word and what tells pictures apart; any other exception than an ImageError passes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = load_image(path, max_pixels=MAX_PIXELS)
    except ImageError as error:
        return "refused" if str(path) in str(error) and "\n" not in str(error) else f"fault: its message is {error}"
    return f"{image.mode} {image.size} {hashlib.sha256(image.tobytes()).hexdigest()}"


def work(start: int, stop: int, seed: int) -> None:
    """Damage and read the pictures of these numbers; print what became of each as a line of JSON."""
    files = list(seeds().items())
    with tempfile.TemporaryDirectory() as name:
        for number in range(start, stop):
            draw = np.random.default_rng([seed, number])
            kind, data = files[number % len(files)]
            path = Path(name) / f"{number}-{kind}"
            path.write_bytes(damaged(data, draw))
            _reset_peak()
            began = time.perf_counter()
            try:
                became = read(path)
            except Exception as error:
                became = f"fault: {type(error).__name__}: {error}"
            seconds = time.perf_counter() - began
            path.unlink()
            print(json.dumps([number, kind, became, seconds, _peak()]), flush=True)


def _reset_peak() -> None:
    with contextlib.suppress(OSError):  # Linux alone
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> float:
    """The most memory that this process had since `_reset_peak`, in MiB; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return 0.0


def watched(start: int, stop: int, seed: int, fill: int) -> Iterator[tuple[int, str, str, float, float]]:
    """What `work` says, in another process whose memory is filled like this; one that it ends counts, and the rest goes on."""
    environment = {**os.environ, "MALLOC_PERTURB_": str(fill)}
    while start < stop:
        command = [sys.executable, __file__, "--work", str(start), str(stop), "--seed", str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        yield from map(tuple, rows)
        start += len(rows)
        if done.returncode:
            yield start, "", f"fault: ended the process with {done.returncode}: {done.stderr[-2000:]}", 0.0, 0.0
            start += 1
        elif done.stderr:
            yield start - 1, "", f"fault: standard error: {done.stderr[-2000:]}", 0.0, 0.0


def fuzz(count: int, seed: int, tell: Callable[[str], object] = lambda _: None) -> tuple[Counter[str], list[str]]:
    """Read so many damaged pictures twice.

    Returns:
        How many were read and refused; and the faults, in words.
    """
    counts: Counter[str] = Counter()
    faults = []
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda fill, here=(start, stop): list(watched(*here, seed, fill)), (85, 170))
        others = {row[0]: row for row in second}
        for row in first:
            number, kind, became, seconds, peak = max(row, others.get(row[0], row), key=lambda row: row[2].startswith("fault"))
            problems = [became] if became.startswith("fault") else []
            problems += [f"took {seconds:.1f} s"] if seconds > SLOW else []
            if peak > LARGE:  # filling counts as use, also of a canvas that is given back before anything is drawn
                peak = next(watched(number, number + 1, seed, 0))[-1]
            problems += [f"{peak:,.0f} MiB"] if peak > LARGE else []
            problems += ["shows memory"] if not problems and others[number][2] != row[2] else []
            faults += [f"{kind}, number {number} of seed {seed}: {problem}" for problem in problems]
            counts["fault" if problems else "refused" if became == "refused" else "read"] += 1
        tell(f"{stop:,} of {count:,}: {dict(counts)}")
    return counts, faults


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Reads damaged pictures; exit status 1 if one is a fault.")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=int, nargs=2, metavar=("START", "STOP"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(*arguments.work, arguments.seed)
        return 0
    began = time.perf_counter()
    counts, faults = fuzz(arguments.count, arguments.seed, lambda text: print(text, file=sys.stderr))
    print(*faults, sep="\n")
    print(f"{arguments.count:,} pictures in {time.perf_counter() - began:,.0f} s: {dict(counts)}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
