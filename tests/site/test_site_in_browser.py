"""The exported page in Chromium: equal to the Python call, offline, live, private, in order for keyboard and phone."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browser import CAMERA, chromium, served
from npm import package
from PIL import Image

from nst_adain.figures.gallery import draw
from nst_adain.figures.samples import photograph
from nst_adain.models.pretrained import load_model
from nst_adain.site import static_site
from nst_adain.site.static_site import ONLINE, VERSION, write_site
from nst_adain.stylizer import Stylizer

DESKTOP, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
PIXELS = "[...document.getElementById('result').getContext('2d').getImageData(200, 200, 64, 64).data]"
TIMED = """async ([side, threads]) => {
    const { Engine } = await import("./engine.js");
    const engine = new Engine();
    await engine.start({ site: await (await fetch("site.json")).json(), wanted: { runtime: "wasm", threads } });
    await engine.style("mosaic", await (await fetch("pictures/mosaic.jpg")).blob());
    const look = { styles: [{ key: "mosaic", weight: 1 }], alpha: 1, boldness: 0.4, ownColors: false };
    let best = Infinity;
    for (let i = 0; i < 8; i++) {
        const bitmap = await createImageBitmap(document.getElementById("result"), { resizeWidth: side, resizeHeight: side });
        const started = performance.now();
        await engine.frame(bitmap, look, 512, i === 0);
        best = Math.min(best, performance.now() - started);
    }
    engine.worker.terminate();
    return best;
}"""
SCRIPT = {"Content-Type": "text/javascript"}
SHIFTS = """window.shifted = 0;
new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shifted += entry.value; })
    .observe({ type: "layout-shift", buffered: true });"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, exported: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(static_site, "export_graphs", lambda model, graphs: shutil.copytree(exported, graphs))
        return write_site(load_model("slim"), tmp_path_factory.mktemp("site"), package("onnxruntime-web", VERSION)).parent


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder, isolated=True) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium(*CAMERA) as browser:
        yield browser


@contextlib.contextmanager
def opened(browser: Any, address: str, size: dict[str, int] = DESKTOP, query: str = "runtime=wasm&threads=1") -> Iterator[Any]:
    """Opens the page, where nothing may move, and checks at the end that it ran without errors and asked its own host alone."""
    asked, errors = [], []
    context = browser.new_context(viewport=size)
    context.on("request", lambda request: asked.append(request.url))
    context.on("weberror", lambda error: errors.append(str(error.error)))
    page = context.new_page()
    page.set_default_timeout(120_000)  # a busy machine is no failure
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.add_init_script(SHIFTS)
    page.goto(f"{address}/?{query}")
    painted(page)
    assert page.evaluate("window.shifted") < 0.05
    yield page
    context.close()
    assert asked
    assert [url for url in asked if not url.startswith((address, "blob:"))] == []
    assert errors == []


@pytest.fixture(scope="module")
def page(browser: Any, address: str) -> Iterator[Any]:
    """One for several tests, as opening it takes seconds: each leaves a picture that is painted."""
    with opened(browser, address) as page:
        yield page


@pytest.fixture(scope="module")
def phone(browser: Any, address: str) -> Iterator[Any]:
    """The same on a small screen."""
    with opened(browser, address, PHONE) as page:
        yield page


def painted(page: Any, after: int = 0, seconds: float = 120) -> int:
    """The number of the last change that is shown, once it is above `after`."""
    end = time.monotonic() + seconds
    while (shown := int(page.locator("html").get_attribute("data-painted") or 0)) <= after:
        assert time.monotonic() < end, page.locator("#note").text_content()
        time.sleep(0.02)
    return shown


def png(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


def move(page: Any, control: str, value: float) -> None:
    page.locator(control).evaluate("(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", value)


def distance(one: Image.Image, other: Image.Image) -> Any:
    """In levels of 255."""
    return np.abs(np.asarray(one.convert("RGB"), dtype=int) - np.asarray(other.convert("RGB"), dtype=int))


def saved(page: Any, button: str, path: Path) -> Image.Image:
    with page.expect_download() as download:
        page.click(button)
    download.value.save_as(path)
    return Image.open(path)


def test_the_page_gives_what_the_python_call_gives(slim: Stylizer, page: Any, tmp_path: Path) -> None:
    """With two styles, one of them reduced, and all controls moved: a photograph of few pixels at once, one of more in tiles.

    The larger one is made coarse to fine.
    """
    painting = photograph("chelsea").resize((530, 520), Image.Resampling.BICUBIC)
    styles = [png(tmp_path / "cat.png", painting), png(tmp_path / "mosaic.png", draw("mosaic"))]
    page.set_input_files("#style-file", styles[1])
    page.locator('#shelf button[title="mosaic.png"][aria-pressed="true"]').wait_for()
    page.set_input_files("#style-file", styles[0])
    page.locator('#shelf button[title="mosaic.png"]').click()
    page.locator('#shares img[alt="Share of mosaic.png"]').wait_for()
    move(page, "#shares label:nth-child(1) input", 60)  # the cat
    move(page, "#shares label:nth-child(2) input", 20)
    for control, value in (("#alpha", 0.9), ("#boldness", 0.7), ("#size", 416)):
        move(page, control, value)
    for width, height in ((610, 563), (310, 235)):
        photo = photograph("astronaut").resize((width, height), Image.Resampling.BICUBIC)
        expected = slim(photo, styles, weights=[3, 1], alpha=0.9, boldness=0.7, style_size=416)
        assert distance(expected, photo).mean() > 10
        page.set_input_files("#photo-file", png(tmp_path / "photo.png", photo))
        page.locator("#save", has_text=re.compile(f"{width} . {height}")).wait_for()
        made = saved(page, "#save", tmp_path / "made.png")
        assert made.size == photo.size
        assert distance(made, expected).max() <= 2
        assert distance(made, expected).mean() < 0.05


def test_a_service_worker_gives_threads_and_keeps_the_page_offline(browser: Any, folder: Path) -> None:
    with served(folder) as address, opened(browser, address, query="runtime=wasm&threads=2") as page:
        assert page.evaluate("crossOriginIsolated")
        assert "WebAssembly, 2 threads" in page.locator("#engine").text_content()
        page.context.set_offline(True)
        page.goto(page.url)
        painted(page)
        page.context.set_offline(False)


def test_sliders_keys_and_colours_change_the_picture(page: Any) -> None:
    before, shown = np.array(page.evaluate(PIXELS)), painted(page)
    page.locator("#alpha").focus()
    page.keyboard.press("Home")
    shown = painted(page, shown)
    weak = np.array(page.evaluate(PIXELS))
    assert np.abs(weak - before).mean() > 5
    page.keyboard.press("End")
    shown = painted(page, shown)
    page.locator("#colors").check()
    shown = painted(page, shown)
    assert np.abs(np.array(page.evaluate(PIXELS)) - before).mean() > 5
    page.locator("#colors").uncheck()
    painted(page, shown)


def test_the_camera_is_painted_live_and_can_be_saved(phone: Any, tmp_path: Path) -> None:
    phone.click("#camera")
    phone.locator("#fps", has_text="frames a second").wait_for()
    still = saved(phone, "#still", tmp_path / "still.png")
    assert np.asarray(still.convert("RGB")).std() > 10
    phone.click("#record")
    phone.wait_for_timeout(800)
    with phone.expect_download() as download:
        phone.click("#record")
    download.value.save_as(tmp_path / "live")
    assert (tmp_path / "live").stat().st_size > 1000
    assert download.value.suggested_filename in ("nst-adain-live.webm", "nst-adain-live.mp4")
    shown = painted(phone)
    phone.click("#camera")
    painted(phone, shown)  # the photograph is back
    assert not phone.locator("#still").is_visible()


def test_the_size_of_frames_follows_their_time(page: Any) -> None:
    sides = page.evaluate("""async () => {
        const { nextSide } = await import("./live.js");
        const repeated = (side, seconds) => Array.from({ length: 60 }).reduce((now) => nextSide(now, seconds(now)), side);
        const work = (side) => side ** 2 / 5e5;
        return [repeated(192, work), repeated(512, work), repeated(192, () => 1e-3), repeated(192, () => 9)];
    }""")
    assert sides[2:] == [512, 96]
    for side in sides[:2]:
        assert 15 <= 5e5 / side**2 < 25  # frames a second


def test_a_full_size_can_be_cancelled_and_a_bad_file_is_said(page: Any, tmp_path: Path) -> None:
    before = painted(page)
    page.set_input_files("#photo-file", png(tmp_path / "large.png", photograph("coffee").resize((2200, 2000))))
    page.locator("#save", has_text=re.compile("2200 . 2000")).wait_for()
    shown = painted(page, before)
    page.click("#save")
    page.click("#cancel")
    page.locator("#progress").wait_for(state="hidden")
    assert page.locator("html").get_attribute("data-full") != str(shown)
    (tmp_path / "bad.png").write_text("no picture")
    page.set_input_files("#photo-file", tmp_path / "bad.png")
    page.locator("#note.wrong", has_text="expected a picture that this browser can open").wait_for()
    shown = painted(page)
    page.set_input_files("#style-file", tmp_path / "bad.png")
    page.locator("#note.wrong").wait_for()
    painted(page, shown)  # the style is taken away again


@pytest.mark.parametrize("screen", ["page", "phone"])
def test_nothing_is_cut_off_and_everything_has_a_name(screen: str, request: pytest.FixtureRequest) -> None:
    page = request.getfixturevalue(screen)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    unnamed = page.evaluate("""() => {
        const named = (element) => element.ariaLabel || element.title || element.textContent.trim() || element.labels?.[0];
        const shown = [...document.querySelectorAll("button, input")].filter((element) => element.offsetParent);
        return shown.filter((element) => !named(element)).map((element) => element.outerHTML);
    }""")
    assert unnamed == []
    buttons = "[...document.querySelectorAll('button')].filter((button) => button.offsetParent)"
    assert page.evaluate(f"Math.min(...{buttons}.map((button) => button.offsetHeight))") >= 44


def test_the_runtime_comes_from_a_cdn_if_its_hash_is_right(
    browser: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static_site, "export_graphs", lambda model, graphs: shutil.copytree(folder / "model", graphs))
    write_site(load_model("slim"), tmp_path)
    changed: set[str] = set()

    def answer(route: Any) -> None:
        name = route.request.url.rpartition("/")[2]
        body = (folder / "runtime" / name).read_bytes() + (b"\n" if name in changed else b"")
        route.fulfill(body=body, headers={"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"})

    with served(tmp_path, isolated=True) as address:
        context = browser.new_context(service_workers="block")
        context.route(f"{ONLINE}*", answer)
        page = context.new_page()
        page.goto(f"{address}/?runtime=wasm&threads=1")
        painted(page)
        changed.add("ort.wasm.min.mjs")
        page.reload()
        page.locator("#note.wrong").wait_for()
        assert page.locator("html").get_attribute("data-painted") is None
        context.close()


@pytest.mark.slow
def test_webgpu_gives_what_webassembly_gives(address: str) -> None:
    """On SwiftShader, which runs it on the processor."""
    shown = {}
    with chromium("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan") as browser:
        for runtime in ("webgpu", "wasm"):
            page = browser.new_page()
            page.set_default_timeout(300_000)
            page.goto(f"{address}/?runtime={runtime}")
            page.locator("#engine", has_text="WebGPU" if runtime == "webgpu" else "WebAssembly").wait_for()
            painted(page, seconds=300)
            shown[runtime] = np.array(page.evaluate(PIXELS))
            page.close()
    assert np.abs(shown["webgpu"] - shown["wasm"]).max() <= 2


@pytest.mark.slow
def test_a_photograph_of_12_megapixels_needs_less_than_a_gigabyte(slim: Stylizer, page: Any, tmp_path: Path) -> None:
    """In one thread: of 4000 x 3000 pixels, equal to the Python call; the whole process of the page is counted."""
    photo = photograph("astronaut").resize((4000, 4000), Image.Resampling.BICUBIC).crop((0, 500, 4000, 3500))
    page.set_default_timeout(900_000)
    style = png(tmp_path / "style.png", draw("mosaic"))  # JPEG files may be decoded to other levels
    before = painted(page)
    page.set_input_files("#style-file", style)
    before = painted(page, before)
    page.set_input_files("#photo-file", png(tmp_path / "photo.png", photo))
    page.locator("#save", has_text=re.compile("4000 . 3000")).wait_for()
    painted(page, before)
    most, end = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not end.wait(0.2):
            most = max(most, *renderers())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.monotonic()
    made = saved(page, "#save", tmp_path / "made.png")
    print(f"{time.monotonic() - started:.0f} s, {most / 2**20:.0f} MiB")
    end.set()
    watcher.join()
    assert 100 * 2**20 < most < 2**30
    apart = distance(made, slim(photo, style))
    assert apart.max() <= 2


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_milliseconds_of_a_frame(slim: Stylizer, page: Any, threads: int, request: pytest.FixtureRequest) -> None:
    """Encoded and decoded, in the page and in torch: figures to report, and the page within ten times of torch."""
    request.addfinalizer(functools.partial(torch.set_num_threads, torch.get_num_threads()))
    torch.set_num_threads(threads)
    style = slim.encode_style(draw("mosaic"))
    for side in (256, 512, 1024):
        in_page = page.evaluate(TIMED, [side, threads])
        image, in_torch = torch.rand(1, 3, side, side), []
        for _ in range(8):
            started = time.perf_counter()
            slim(image, style, look_size=None, tile=None)
            in_torch.append(1000 * (time.perf_counter() - started))
        print(f"{side} pixels, {threads} threads: page {in_page:.0f} ms, torch {min(in_torch):.0f} ms")
        assert in_page < 10 * min(in_torch)


def renderers() -> list[int]:
    """The resident bytes of Chromium's processes of pages."""
    found = [0]
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"--type=renderer" in (folder / "cmdline").read_bytes():
                found.append(int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    return found
