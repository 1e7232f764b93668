"""The exported page in Chromium: equal to the Python call, offline, live, private, in order for keyboard and phone."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CAMERA, chromium, served
from npm import package
from PIL import Image

from nst_adain.figures.gallery import draw
from nst_adain.figures.samples import photograph
from nst_adain.models.pretrained import load_model
from nst_adain.site.static_site import VERSION, write_site
from nst_adain.stylizer import Stylizer

DESKTOP, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
SCRIPT = {"Content-Type": "text/javascript"}
SHIFTS = """window.shifted = 0;
new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shifted += entry.value; })
    .observe({ type: "layout-shift", buffered: true });"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runtime = package("onnxruntime-web", VERSION)
    return write_site(load_model("slim"), tmp_path_factory.mktemp("site"), runtime).parent


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium(*CAMERA) as browser:
        yield browser


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Opens the page, and checks at the end that it ran without errors and asked nothing of another computer."""
    contexts, asked, errors = [], [], []

    def open_page(size: dict[str, int] = DESKTOP, query: str = "runtime=wasm", edit: tuple[str, str] = ("", "")) -> Any:
        context = browser.new_context(viewport=size, service_workers="block" if edit[0] else "allow")
        contexts.append(context)
        context.on("request", lambda request: asked.append(request.url))
        context.on("weberror", lambda error: errors.append(str(error.error)))
        page = context.new_page()
        page.set_default_timeout(120_000)  # a busy machine is no failure
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.add_init_script(SHIFTS)
        if edit[0]:
            page.route("**/pictures.js", lambda route: route.fulfill(body=route.fetch().text().replace(*edit), headers=SCRIPT))
        page.goto(f"{address}/?{query}")
        painted(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert asked
    assert [url for url in asked if not url.startswith((address, "blob:"))] == []
    assert errors == []


def painted(page: Any, after: int = 0) -> int:
    """The number of the last change that is shown, once it is above `after`."""
    end = time.monotonic() + 120
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


def test_the_page_gives_what_the_python_call_gives(slim: Stylizer, opened: Callable[..., Any], tmp_path: Path) -> None:
    """A photograph of more than 512 pixels, coarse to fine, with two styles, one of them reduced, and all controls moved.

    At once, and in tiles, which the page takes for larger pictures.
    """
    photo = photograph("astronaut").resize((610, 563), Image.Resampling.BICUBIC)
    painting = photograph("chelsea").resize((530, 520), Image.Resampling.BICUBIC)
    styles = [png(tmp_path / "cat.png", painting), png(tmp_path / "mosaic.png", draw("mosaic"))]
    expected = slim(photo, styles, weights=[3, 1], alpha=0.9, boldness=0.7, style_size=416)
    assert distance(expected, photo).mean() > 10
    for edit in (("", ""), ("TILE = 768", "TILE = 256")):
        page = opened(edit=edit)
        page.set_input_files("#style-file", styles[1])
        page.locator('#shelf button[title="mosaic.png"][aria-pressed="true"]').wait_for()
        page.set_input_files("#style-file", styles[0])
        page.locator('#shelf button[title="mosaic.png"]').click()
        page.locator('#shares img[alt="Share of mosaic.png"]').wait_for()
        move(page, "#shares label:nth-child(1) input", 60)  # the cat
        move(page, "#shares label:nth-child(2) input", 20)
        for control, value in (("#alpha", 0.9), ("#boldness", 0.7), ("#size", 416)):
            move(page, control, value)
        page.set_input_files("#photo-file", png(tmp_path / "photo.png", photo))
        page.locator("#save", has_text=re.compile("610 . 563")).wait_for()
        made = saved(page, "#save", tmp_path / "made.png")
        assert made.size == photo.size
        assert distance(made, expected).max() <= 2
        assert distance(made, expected).mean() < 0.1


def test_a_service_worker_gives_threads_and_keeps_the_page_offline(opened: Callable[..., Any]) -> None:
    page = opened()
    assert page.evaluate("crossOriginIsolated")
    assert "WebAssembly, " in page.locator("#engine").text_content()
    assert "thread" in page.locator("#engine").text_content()
    page.context.set_offline(True)
    page.goto(page.url)
    painted(page)
    page.context.set_offline(False)


def test_sliders_keys_and_colours_change_the_picture(opened: Callable[..., Any]) -> None:
    page = opened()
    pixels = "() => [...document.getElementById('result').getContext('2d').getImageData(200, 200, 64, 64).data]"
    before, shown = np.array(page.evaluate(pixels)), painted(page)
    page.locator("#alpha").focus()
    page.keyboard.press("Home")
    shown = painted(page, shown)
    weak = np.array(page.evaluate(pixels))
    assert np.abs(weak - before).mean() > 5
    page.keyboard.press("End")
    shown = painted(page, shown)
    page.locator("#colors").check()
    painted(page, shown)
    assert np.abs(np.array(page.evaluate(pixels)) - before).mean() > 5


def test_the_camera_is_painted_live_and_can_be_saved(opened: Callable[..., Any], tmp_path: Path) -> None:
    page = opened()
    page.click("#camera")
    page.locator("#fps", has_text="frames a second").wait_for()
    still = saved(page, "#still", tmp_path / "still.png")
    assert np.asarray(still.convert("RGB")).std() > 10
    page.click("#record")
    page.wait_for_timeout(800)
    with page.expect_download() as download:
        page.click("#record")
    download.value.save_as(tmp_path / "live")
    assert (tmp_path / "live").stat().st_size > 1000
    assert download.value.suggested_filename in ("nst-adain-live.webm", "nst-adain-live.mp4")
    shown = painted(page)
    page.click("#camera")
    painted(page, shown)  # the photograph is back
    assert not page.locator("#still").is_visible()


def test_the_size_of_frames_follows_their_time(opened: Callable[..., Any]) -> None:
    page = opened()
    sides = page.evaluate("""async () => {
        const { nextSide } = await import("./live.js");
        const repeated = (side, seconds) => Array.from({ length: 60 }).reduce((now) => nextSide(now, seconds(now)), side);
        const work = (side) => side ** 2 / 5e5;
        return [repeated(192, work), repeated(512, work), repeated(192, () => 1e-3), repeated(192, () => 9)];
    }""")
    assert sides[2:] == [512, 96]
    for side in sides[:2]:
        assert 15 <= 5e5 / side**2 < 25  # frames a second


def test_a_full_size_can_be_cancelled_and_a_bad_file_is_said(opened: Callable[..., Any], tmp_path: Path) -> None:
    page = opened()
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


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_moves_nothing_is_cut_off_and_everything_has_a_name(opened: Callable[..., Any], size: dict[str, int]) -> None:
    page = opened(size)
    assert page.evaluate("window.shifted") < 0.05
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    unnamed = page.evaluate("""() => {
        const named = (element) => element.ariaLabel || element.title || element.textContent.trim() || element.labels?.[0];
        const shown = [...document.querySelectorAll("button, input")].filter((element) => element.offsetParent);
        return shown.filter((element) => !named(element)).map((element) => element.outerHTML);
    }""")
    assert unnamed == []
    buttons = "[...document.querySelectorAll('button')].filter((button) => button.offsetParent)"
    assert page.evaluate(f"Math.min(...{buttons}.map((button) => button.offsetHeight))") >= 44
