"""The guide to the page and the graphs: its commands run in order, and both its programs give what `Stylizer` gives."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import chromium, served
from guides import ROOT, follow
from npm import package
from PIL import Image

from nst_adain.site.static_site import VERSION
from nst_adain.stylizer import Stylizer

GUIDE = "nst_adain/site/README.md"
PIXELS = """async (address) => {
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    const bitmap = await createImageBitmap(await (await fetch(address)).blob());
    [context.canvas.width, context.canvas.height] = [bitmap.width, bitmap.height];
    context.drawImage(bitmap, 0, 0);
    return context.getImageData(0, 0, bitmap.width, bitmap.height);
}"""


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory, samples: Path, exported: Path) -> Path:
    """The folder in which the guide was followed."""
    folder = tmp_path_factory.mktemp("guide")
    shutil.copytree(samples, folder / "samples")
    (folder / "node_modules").mkdir()
    shutil.copytree(package("onnxruntime-web", VERSION), folder / "node_modules" / "onnxruntime-web")
    not_run = {"npm install": "needs a network", "python -m http.server": "never ends"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for place in ("site.static_site", "cli.export"):
            patch.setattr(f"nst_adain.{place}.export_graphs", lambda model, to: [shutil.copytree(exported, to)])
        names = follow(GUIDE, folder, not_run)
    assert names["width"] == 300
    return folder


def apart(one: Any, other: Any) -> int:
    return int(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max())


def test_the_python_program_gives_what_the_stylizer_gives(slim: Stylizer, followed: Path) -> None:
    styles = [followed / "samples" / f"{name}.png" for name in ("brush_strokes", "mosaic")]
    expected = slim(followed / "samples" / "chelsea.png", styles, weights=[7, 3], alpha=0.9)
    assert apart(Image.open(followed / "mixed.png"), expected) <= 1


def test_the_javascript_program_gives_what_the_stylizer_gives(slim: Stylizer, followed: Path) -> None:
    (program,) = re.findall(r"^```js\n(.*?)^```", (ROOT / GUIDE).read_text(), flags=re.MULTILINE | re.DOTALL)
    module = "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs"
    (followed / "program.js").write_text(program.replace("onnxruntime-web/wasm", module))
    (followed / "index.html").write_text("<!doctype html><title>Program</title>")
    with served(followed) as address, chromium() as browser:
        page = browser.new_page()
        page.goto(address)
        made = page.evaluate(f"""async () => {{
            const {{ stylise }} = await import("./program.js");
            const pixels = {PIXELS};
            const photo = await pixels("samples/astronaut.png");
            const result = await stylise(photo, await pixels("samples/ink_wash.png"), 0.8, 0.7);
            const canvas = new OffscreenCanvas(result.width, result.height);
            canvas.getContext("2d").putImageData(result, 0, 0);
            const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
            return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
        }}""")
    (followed / "made.png").write_bytes(made.encode("latin-1"))
    samples = followed / "samples"
    expected = slim(samples / "astronaut.png", samples / "ink_wash.png", alpha=0.8, boldness=0.7)
    assert apart(Image.open(followed / "made.png").convert("RGB"), expected) <= 2
