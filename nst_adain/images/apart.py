"""Reads untrusted pictures in a separate process, with limits on time and memory, so that none can end or block a server."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

from nst_adain.errors import ImageError
from nst_adain.images.io import load_image
from nst_adain.images.opening import MAX_PIXELS

__all__ = ["MEMORY", "SECONDS", "load_image_apart"]

SECONDS = 20  # most pictures take less than one; the limits in `formats` keep them below ten
MEMORY = 1536 << 20  # bytes, beside the interpreter's own
_READY = b"ready"  # the other process sends it once it has loaded what it needs
_FOLDER = Path(__file__).resolve().parents[2]  # the folder that holds this package


def load_image_apart(
    path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, seconds: float = SECONDS, memory: int = MEMORY
) -> Image.Image:
    """Run `load_image` in another process, which takes some tenths of a second longer.

    Args:
        path: the file.
        max_pixels: the largest width x height to decode.
        seconds: the time that it may take.
        memory: the bytes that it may take, on systems with such a limit, such as POSIX.

    Returns:
        A picture of mode "RGB" or "RGBA", as from `load_image`.

    Raises:
        ImageError: if `load_image` raises, also for a missing file; or if it takes more time or memory than allowed.
    """
    file = os.path.abspath(path)
    command = [sys.executable, "-m", __name__, file, str(max_pixels), str(memory), str(round(seconds) + 1)]
    # Use one thread: the limit is on address space, and thread pools reserve much of it.
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(_FOLDER), *filter(None, sys.path)]),
        "OPENBLAS_NUM_THREADS": "1",
    }
    try:  # run in the package's folder, because the current folder comes first on the module path
        done = subprocess.run(
            command, env=environment, cwd=_FOLDER, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"{path}: the picture takes longer than {seconds:g} s to decode") from error
    ready, _, answered = done.stdout.partition(b"\n")
    if ready != _READY:
        raise RuntimeError(f"the process that decodes pictures did not start: {done.stderr.decode(errors='replace')[-500:]}")
    if done.returncode:
        raise ImageError(f"{path}: the picture is damaged, or takes more than {memory / 2**20:,.0f} MiB to decode")
    line, _, pixels = answered.partition(b"\n")
    answer = json.loads(line)
    if "error" in answer:
        raise ImageError(answer["error"])
    return Image.frombytes(answer["mode"], answer["size"], pixels)


def _main(path: str, max_pixels: str, memory: str, seconds: str) -> None:
    """Decode a file, and write a line of JSON and the pixels to standard output."""
    sys.stdout.buffer.write(_READY + b"\n")
    sys.stdout.buffer.flush()
    with contextlib.suppress(ImportError):  # on Windows
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() if os.path.exists("/proc") else 0
        for limit, value in ((resource.RLIMIT_AS, taken + int(memory)), (resource.RLIMIT_CPU, int(seconds))):
            with contextlib.suppress(ValueError, OSError):  # above an existing limit, or unsupported, as on macOS
                resource.setrlimit(limit, (value, value))
    try:
        image = load_image(path, max_pixels=int(max_pixels))
        answer = json.dumps({"mode": image.mode, "size": image.size}).encode() + b"\n"
        sys.stdout.buffer.write(answer)
        for top in range(0, image.height, 1024):
            sys.stdout.buffer.write(image.crop((0, top, image.width, min(top + 1024, image.height))).tobytes())
    except (OSError, ValueError) as error:
        sys.stdout.buffer.write(json.dumps({"error": str(error)}).encode() + b"\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
