"""The page in a real browser: what people do with it, and that it asks nothing of any other computer."""

from __future__ import annotations

import base64
import io
import re
import shlex
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import picture
from PIL import Image
from samples import film

from nst_adain.cli.main import main
from nst_adain.figures.samples import save_inputs
from nst_adain.images.opening import register_heic
from nst_adain.stylizer import Stylizer

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *camera])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Opens the page, and checks at the end that it ran without errors and asked nothing of another computer."""
    pages, asked, errors = [], [], []

    def open_page(size: dict[str, int] = DESKTOP, **options: Any) -> Any:
        page = browser.new_page(viewport=size, **options)
        page.set_default_timeout(120_000)  # a busy machine is no failure
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        shown(page)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert asked
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert errors == []


def shown(page: Any, after: str | None = None) -> str:
    """The preview, once there is one, and another than `after`."""
    page.wait_for_function(
        "(old) => { const image = document.querySelector('.comparison:not(.empty) img');"
        " return image && image.complete && image.naturalWidth > 0 && image.src !== old }",
        arg=after or "",
    )
    url: str = page.locator(".comparison img").first.get_attribute("src")
    return url


def settled(page: Any, after: str | None = None) -> str:
    """The preview when nothing changes any more, and another than `after`."""
    url = shown(page, after)
    while True:
        page.wait_for_timeout(700)
        if shown(page) == url:
            return url
        url = shown(page)


def pixels(url: str) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))), dtype=float)


def choose(page: Any, file: Path, slot: str = "Photograph") -> None:
    """Replace a picture by a file, as a person does: away with the old one, then upload."""
    block = page.locator(".block", has=page.get_by_text(slot, exact=True)).filter(visible=True).last
    remove = block.get_by_role("button", name="Remove Image")
    if remove.count():
        remove.click()
    block.locator("input[type=file]").set_input_files(file)


def slide(page: Any, label: str, keys: str, times: int = 1) -> None:
    slider = page.get_by_role("slider", name=re.compile(label))
    slider.focus()
    for _ in range(times):
        page.keyboard.press(keys)


def difference(a: str, b: str) -> float:
    return float(np.abs(pixels(a) - pixels(b)).mean())


def test_upload_mix_paint_and_download_what_python_makes(
    opened: Callable[..., Any], base: Stylizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture(300, 200, seed=1).save("photo.png")
    page = opened()
    first = settled(page)
    choose(page, Path("photo.png"))
    page.wait_for_function("() => document.querySelector('.comparison img').naturalWidth === 300")
    uploaded = settled(page)
    assert pixels(uploaded).shape == (200, 300, 3)

    slide(page, "Strength", "ArrowLeft", 40)
    weaker = settled(page, uploaded)
    assert difference(uploaded, weaker) > 2

    page.get_by_role("tab", name="2", exact=True).click()
    page.get_by_role("button", name="ink wash").filter(visible=True).click()
    mixed = settled(page, weaker)
    assert difference(weaker, mixed) > 2
    slide(page, "Share of ink wash", "ArrowLeft", 20)
    shared = settled(page, mixed)
    assert difference(mixed, shared) > 0.3

    page.get_by_role("button", name="Paint where the style applies").click()
    canvas = page.locator(".easel canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5, steps=5)
    page.mouse.up()
    masked, photo = pixels(settled(page, shared)), np.asarray(Image.open("photo.png"), dtype=float)
    assert np.abs(masked[:, 200:] - photo[:, 200:]).mean() < 2
    assert np.abs(masked[90:110, 70:110] - photo[90:110, 70:110]).mean() > 5
    with page.expect_download() as mask:
        page.get_by_role("link", name="Download the mask").click()
    mask.value.save_as("mask.png")

    page.get_by_role("button", name="Make it in full size").click()
    button = page.get_by_role("button", name=re.compile("Download 300 x 200 PNG"))
    button.wait_for()
    with page.expect_download() as download:
        button.click()
    assert download.value.suggested_filename == "photo__brush_strokes_ink_wash.png"
    result = np.asarray(Image.open(download.value.path()))
    save_inputs("samples")
    styles = ["samples/brush_strokes.png", "samples/ink_wash.png"]
    expected = base("photo.png", styles, weights=[50, 30], alpha=0.6, masks=["mask.png"] * 2)
    np.testing.assert_array_equal(result, np.asarray(expected))

    page.get_by_role("button", name="The same as a command and in Python").click()
    page.locator(".cm-content").nth(1).wait_for()
    command, code = (
        "\n".join(page.locator(".cm-content").nth(index).locator(".cm-line").all_inner_texts()) for index in (0, 1)
    )
    line = command.splitlines()[-1]
    assert main([*shlex.split(line)[1:], "--device", "cpu"]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open("out.png")), result)
    Path("out.png").unlink()
    exec(code, {})
    np.testing.assert_array_equal(np.asarray(Image.open("out.png")), result)
    assert first != uploaded


def test_a_new_photograph_takes_the_paint_away(opened: Callable[..., Any]) -> None:
    page = opened()
    page.get_by_role("button", name="Paint where the style applies").click()
    canvas = page.locator(".easel canvas")
    canvas.scroll_into_view_if_needed()
    everywhere = settled(page)
    canvas.click()
    spot = settled(page, everywhere)
    assert difference(everywhere, spot) > 5
    page.get_by_role("button", name="Clear", exact=True).click()
    assert settled(page, spot) == everywhere
    canvas.click()
    painted = shown(page, everywhere)
    page.get_by_role("button", name="astronaut").click()
    other = settled(page, painted)
    page.get_by_role("button", name="coffee").click()
    assert settled(page, other) == everywhere


def test_paste_and_webcam(opened: Callable[..., Any]) -> None:
    page = opened(permissions=["clipboard-read", "clipboard-write", "camera"])
    page.evaluate(
        """async () => {
            const canvas = Object.assign(document.createElement("canvas"), {width: 123, height: 77});
            canvas.getContext("2d").fillRect(10, 10, 50, 50);
            const blob = await new Promise((done) => canvas.toBlob(done));
            await navigator.clipboard.write([new ClipboardItem({"image/png": blob})]);
        }"""
    )
    page.get_by_role("button", name="Paste from clipboard").first.click()
    page.wait_for_function("() => document.querySelector('.comparison img').naturalWidth === 123")
    pasted = settled(page)
    page.get_by_role("button", name="Remove Image").first.click()
    page.get_by_role("button", name="Capture from camera").click()
    page.get_by_role("button", name="Click to Access Webcam").click()
    page.wait_for_function("() => [...document.querySelectorAll('video')].some((video) => video.currentTime > 0.2)")
    page.get_by_role("button", name="capture photo").click()
    assert pixels(shown(page, pasted)).shape != pixels(pasted).shape


def test_nothing_from_elsewhere_is_even_tried(opened: Callable[..., Any]) -> None:
    page = opened()
    blocked = page.evaluate(
        """async () => {
            const heard = new Promise((done) => addEventListener("securitypolicyviolation", (e) => done(e.blockedURI)));
            fetch("https://example.com/script.js").catch(() => {});
            return await heard;
        }"""
    )
    assert blocked == "https://example.com/script.js"


def test_the_photograph_and_the_result_are_compared_by_keyboard(opened: Callable[..., Any]) -> None:
    page = opened()
    edge = "() => getComputedStyle(document.querySelector('.comparison .before')).clipPath"
    assert page.evaluate(edge) == "inset(0px 100% 0px 0px)"
    slide(page, "Compare", "End")
    assert page.evaluate(edge) in ("inset(0px)", "inset(0px 0% 0px 0px)")
    slide(page, "Compare", "Home")
    assert page.evaluate(edge) == "inset(0px 100% 0px 0px)"


def test_everything_has_a_name_and_is_reached_by_keyboard(opened: Callable[..., Any]) -> None:
    page = opened()
    for name in ("Paint where the style applies", "Colours, size, strokes", "The same as a command and in Python"):
        page.get_by_role("button", name=name).click()
    for tab in ("Picture", "Grid", "Video"):
        page.get_by_role("tab", name=tab, exact=True).click()
        page.wait_for_timeout(300)
        tree = page.locator("body").aria_snapshot()
        unnamed = re.findall(
            r"- (?:button|slider|textbox|spinbutton|radio|checkbox|combobox|link|tab)(?: \[.*\])?:?$", tree, re.M
        )
        assert unnamed == []
    page.get_by_role("tab", name="Picture", exact=True).click()
    reached = set()
    page.locator("body").click(position={"x": 2, "y": 2})
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => { const e = document.activeElement; return e.ariaLabel || e.title || e.innerText }"))
    for name in ("Grid", "Upload file", "coffee", "mosaic", "Make it in full size", "range slider for Strength"):
        assert name in reached


def test_a_picture_of_a_phone_in_a_format_that_browsers_do_not_show(opened: Callable[..., Any], tmp_path: Path) -> None:
    register_heic()
    picture(300, 200).save(tmp_path / "photo.heic")
    page = opened()
    settled(page)
    choose(page, tmp_path / "photo.heic")
    page.wait_for_function("() => document.querySelector('.comparison img').naturalWidth === 300")


def test_a_bad_file_is_said_in_words_and_the_next_one_works(opened: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("hello")
    picture(90, 60).save(tmp_path / "good.png")
    page = opened()
    choose(page, tmp_path / "notes.png")
    page.get_by_text("notes.png: expected a picture, found a file of no known image format").wait_for()
    page.get_by_role("button", name="Make it in full size").click()
    page.get_by_test_id("toast-body").get_by_text("notes.png: expected a picture").wait_for()
    assert "Traceback" not in page.content()
    page.get_by_role("button", name="coffee").click()
    settled(page)
    page.get_by_role("button", name="Make it in full size").click()
    download = page.get_by_role("button", name=re.compile("Download 400 x 400 PNG"))
    download.wait_for()
    slide(page, "Strength", "ArrowLeft")
    download.wait_for(state="hidden")  # it would not be the picture that is shown


def make_large(page: Any, folder: Path) -> None:
    """Begin to make a picture of six tiles, and wait until it is being made."""
    picture(2100, 2000).save(folder / "large.png")
    choose(page, folder / "large.png")
    settled(page)
    page.get_by_role("button", name="Make it in full size").click()
    page.get_by_text(re.compile(r"\d/6 tiles|\d/6")).first.wait_for(timeout=60_000)


def test_a_long_job_shows_its_progress_and_can_be_cancelled(opened: Callable[..., Any], tmp_path: Path) -> None:
    page = opened()
    make_large(page, tmp_path)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel").wait_for(state="hidden")
    before = shown(page)
    start = time.monotonic()
    slide(page, "Strength", "ArrowLeft")
    shown(page, before)
    assert time.monotonic() - start < 20  # the rest of the tiles would take longer
    assert page.get_by_role("button", name=re.compile("^Download")).filter(visible=True).count() == 0


def test_a_control_that_moves_meanwhile_takes_no_download_away(opened: Callable[..., Any], tmp_path: Path) -> None:
    page = opened()
    make_large(page, tmp_path)
    slide(page, "Strength", "ArrowLeft")
    download = page.get_by_role("button", name=re.compile("^Download 2100 x 2000"))
    download.wait_for(timeout=120_000)
    settled(page)
    assert download.is_visible()
    slide(page, "Strength", "ArrowLeft")  # moved afterwards, it does
    download.wait_for(state="hidden")


def test_a_waiting_video_is_cancelled_alone(opened: Callable[..., Any], tmp_path: Path) -> None:

    page = opened()
    page.get_by_role("tab", name="Video").click()
    page.locator("input[type=file]").filter(visible=False).last.set_input_files(film(tmp_path / "clip.mp4", 8))
    page.get_by_text("clip", exact=False).first.wait_for()
    page.get_by_role("tab", name="Picture").click()
    make_large(page, tmp_path)
    page.get_by_role("tab", name="Video").click()
    page.get_by_role("button", name="Make the video").click()
    page.get_by_role("button", name="Cancel").filter(visible=True).click()
    page.get_by_role("tab", name="Picture").click()
    page.get_by_role("button", name=re.compile("^Download 2100 x 2000")).wait_for(timeout=120_000)


def test_grid_and_video(opened: Callable[..., Any], tmp_path: Path) -> None:

    page = opened()
    page.get_by_role("tab", name="Grid").click()
    page.get_by_role("button", name="Make the sheet").click()
    page.get_by_role("img", name="The sheet").wait_for()
    page.get_by_role("tab", name="Video").click()
    page.locator("input[type=file]").filter(visible=False).last.set_input_files(film(tmp_path / "clip.mp4", 8))
    page.get_by_role("button", name="Make the video").click()
    page.wait_for_function("() => [...document.querySelectorAll('video')].some((video) => /clip__brush/.test(video.src))")


@pytest.mark.parametrize("tab", ["Picture", "Grid", "Video"])
def test_a_phone_shows_it_all_without_scrolling_sideways(opened: Callable[..., Any], tab: str) -> None:
    page = opened(PHONE, has_touch=True, is_mobile=True)
    page.get_by_role("tab", name=tab).click()
    page.wait_for_timeout(300)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"]
    if tab == "Picture":
        assert page.locator(".comparison").bounding_box()["y"] < 120


def test_two_people_do_not_see_each_others_pictures(opened: Callable[..., Any], tmp_path: Path) -> None:
    picture(120, 80, seed=5).save(tmp_path / "mine.png")
    mine, yours = opened(), opened()
    before = settled(yours)
    choose(mine, tmp_path / "mine.png")
    mine.wait_for_function("() => document.querySelector('.comparison img').naturalWidth === 120")
    assert settled(yours) == before
    slide(yours, "Strength", "ArrowLeft")
    assert pixels(shown(yours, before)).shape == (400, 400, 3)


@pytest.mark.slow
def test_a_move_of_the_slider_is_shown_at_once(opened: Callable[..., Any], tmp_path: Path) -> None:
    """At 512 pixels within half a second on two cores."""
    picture(768, 512).save(tmp_path / "photo.png")
    page = opened()
    choose(page, tmp_path / "photo.png")
    page.wait_for_function("() => document.querySelector('.comparison img').naturalWidth === 768")
    before = settled(page)
    times = []
    for _ in range(20):
        start = time.monotonic()
        slide(page, "Strength", "ArrowLeft")
        before = shown(page, before)
        times.append(time.monotonic() - start)
    print(f"\nslider to picture, 512 x 768: median {statistics.median(times):.3f} s, longest {max(times):.3f} s")
    assert statistics.median(times) < 0.5


def test_it_works_with_a_password(browser: Any, closed: tuple[str, list[str]]) -> None:
    page = browser.new_page()
    page.goto(closed[0])
    page.get_by_label("username").fill("ada")
    page.get_by_label("password").fill("in")
    page.get_by_role("button", name="Login").click()
    shown(page)
    page.close()
