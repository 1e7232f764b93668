"""Writes the page that runs a model in the browser, as a folder of files for any static host."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from PIL import Image

from nst_adain.errors import UsageError
from nst_adain.figures.gallery import STYLES, draw
from nst_adain.figures.samples import photograph
from nst_adain.files import make_folder, write_atomic
from nst_adain.models.export import export_onnx
from nst_adain.models.graph_metadata import metadata, numbers
from nst_adain.models.networks import StyleTransfer
from nst_adain.rendering.tiling import halo

__all__ = ["ONLINE", "RUNTIME", "VERSION", "export_graphs", "write_site"]

VERSION = "1.30.0"  # of the npm package onnxruntime-web
# Where the page loads the runtime from if it does not come with it.
ONLINE = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist/"
# The runtime's files by their hashes: WebAssembly alone, and with WebGPU.
RUNTIME = {
    "ort.wasm.min.mjs": "sha384-SfFfy/pvthiOsgaw3KX0bV5TfQ6Iq+oY9KutMe4SxIuHH4cl+DCSD4rTsYOoG1tJ",
    "ort-wasm-simd-threaded.mjs": "sha384-XcXA/MtAf0WpB8e023xQH9CM7RIjiugakT7x99DIwpFf7k56BIFFcAPerIF7FDad",
    "ort-wasm-simd-threaded.wasm": "sha384-vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM",
    "ort.webgpu.min.mjs": "sha384-FPQBMbud8ICuP0Ii+Gr95KWEX9pKHtUC3lacIp0aPI8WYluKvTsEGQ3AE2Ze3QlL",
    "ort-wasm-simd-threaded.asyncify.mjs": "sha384-qViEcCGzsR/m8nlQwIsbYh7afN4thuraqFYDQY6huvmoLVoZq/eYawQ1wrv8nnhA",
    "ort-wasm-simd-threaded.asyncify.wasm": "sha384-EPVDLTxuO663dkZO/pcKJF6vOyyfq/5z9FY1oksN0UWFX2ABH4wDDZQHeNoUleWR",
}
_PAGE = Path(__file__).parent / "page"
_PHOTO, _FIRST = "astronaut", "woodcut_waves"  # what the page shows first
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self' 'wasm-unsafe-eval' blob:",  # blob: the runtime, once its hash was checked
    "worker-src": "'self' blob:",
    "connect-src": "'self'",
    "img-src": "'self' blob:",
    "media-src": "'self' blob:",
    "style-src": "'self'",
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
}


def export_graphs(model: StyleTransfer, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a model as ONNX graphs that say how to use them: see `export_onnx`."""
    return export_onnx(model, folder, metadata(model.arch, bool(model.bold), halo(model.arch)))


def write_site(model: StyleTransfer, folder: str | os.PathLike[str], runtime: str | os.PathLike[str] | None = None) -> Path:
    """Write the page for a model.

    Args:
        model: a model in float32, as it was loaded.
        folder: where to write; made if needed.
        runtime: the npm package onnxruntime-web, or its folder `dist`, of which the page gets a copy; None: it loads that from
            `ONLINE`, and refuses other files than those of `RUNTIME`.

    Returns:
        The page's `index.html`.

    Raises:
        UsageError: if `runtime` is another version, or no such package.
        ModuleNotFoundError, NotADirectoryError, ValueError: as `export_onnx` does.
    """
    folder = Path(folder)
    copies = {} if runtime is None else dict(_read_runtime(Path(runtime)))
    export_graphs(model, folder / "model")
    base = "runtime/" if copies else ONLINE
    site = {
        "numbers": numbers(model.arch, bool(model.bold), halo(model.arch)),
        "runtime": {"base": base, "files": RUNTIME},
        "photo": f"pictures/{_PHOTO}.jpg",
        "first": _FIRST,
        "styles": {name: f"pictures/{name}.jpg" for name in STYLES},
    }
    policy = _policy({} if copies else {"connect-src": f"'self' {ONLINE}"})
    files = {f"runtime/{name}": data for name, data in copies.items()}
    files |= {f"pictures/{name}.jpg": _jpeg(draw(name)) for name in STYLES} | {
        f"pictures/{_PHOTO}.jpg": _jpeg(photograph(_PHOTO))
    }
    files |= {path.name: path.read_bytes() for path in sorted(_PAGE.iterdir())}
    files["site.json"] = json.dumps(site, indent=1).encode()
    files["index.html"] = files["index.html"].replace(b"{policy}", policy.encode())
    files["_headers"] = files["_headers"].replace(b"{policy}", policy.encode())
    for name, data in files.items():
        make_folder((folder / name).parent)
        write_atomic(folder / name, data)
    return folder / "index.html"


def _read_runtime(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Read the files of `RUNTIME`, by name."""
    folder = folder / "dist" if (folder / "dist").is_dir() else folder
    for name, expected in RUNTIME.items():
        try:
            data = (folder / name).read_bytes()
        except OSError as error:
            raise UsageError(f"{folder}: expected the npm package onnxruntime-web {VERSION}, found no {name} in it") from error
        if "sha384-" + base64.b64encode(hashlib.sha384(data).digest()).decode() != expected:
            raise UsageError(f"{folder}: expected onnxruntime-web {VERSION}, found another {name}")
        yield name, data


def _policy(other: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {sources}" for name, sources in (_POLICY | dict(other)).items())


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90, subsampling=0)
    return buffer.getvalue()
