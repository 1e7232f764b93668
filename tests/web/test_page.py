"""The page in a real browser: what people do with it, and that it asks nothing of any other computer."""

from __future__ import annotations

import re
import shlex
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import browsing
import numpy as np
import pytest
from browsing import PHONE, begin_to_save, choose, difference, make_large, pixels, settled, shown, slide
from conftest import picture
from PIL import Image

from nst_adain.cli.main import main
from nst_adain.figures.samples import save_inputs
from nst_adain.images.opening import register_heic
from nst_adain.stylizer import Stylizer

browser, opened = browsing.browser, browsing.opened  # fixtures


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

    page.get_by_role("checkbox", name="Brush").check(force=True)
    paint(page, (0.2, 0.5), (0.4, 0.5))
    masked, photo = pixels(settled(page, shared)), np.asarray(Image.open("photo.png"), dtype=float)
    assert np.abs(masked[:, 200:] - photo[:, 200:]).mean() < 2
    assert np.abs(masked[90:110, 70:110] - photo[90:110, 70:110]).mean() > 5
    with page.expect_download() as download:
        page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name=re.compile("Saved: 300 x 200 PNG")).wait_for()
    assert download.value.suggested_filename == "photo__brush_strokes_ink_wash.png"
    result = np.asarray(Image.open(download.value.path()))

    page.get_by_role("button", name="The same as a command and in Python").click()
    page.locator(".cm-content").nth(1).wait_for()
    with page.expect_download() as mask:
        page.get_by_role("link", name="mask.png").click()
    mask.value.save_as("mask.png")
    save_inputs("samples")
    styles = ["samples/brush_strokes.png", "samples/ink_wash.png"]
    expected = base("photo.png", styles, weights=[50, 30], alpha=0.6, masks=["mask.png"] * 2)
    np.testing.assert_array_equal(result, np.asarray(expected))
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


def paint(page: Any, *places: tuple[float, float]) -> None:
    """Draw a stroke through places, as shares of the picture's width and height."""
    box = page.locator(".comparison canvas").bounding_box()
    (x, y), *others = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in places]
    page.mouse.move(x, y)
    page.mouse.down()
    for x, y in others:
        page.mouse.move(x, y, steps=5)
    page.mouse.up()


def values(page: Any) -> tuple[str, str]:
    sliders = [page.get_by_role("slider", name=re.compile(label)) for label in ("Strength", "Boldness")]
    return sliders[0].input_value(), sliders[1].input_value()


def marked(page: Any) -> list[str]:
    """The samples and looks that are marked as chosen."""
    pressed = page.locator(":is(.shelf, .chips) [aria-pressed=true]").filter(visible=True)
    return [button.get_attribute("name") for button in pressed.all()]


def test_what_was_done_outlives_a_reload_and_is_undone_and_linked(
    opened: Callable[..., Any], address: str, tmp_path: Path
) -> None:
    picture(300, 200, seed=1).save(tmp_path / "mine.png")
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    example = settled(page)
    assert marked(page) == ["astronaut", "brush_strokes", "painterly"]
    page.get_by_role("button", name="Bold", exact=True).click()
    bold = settled(page, example)
    assert values(page) == ("1.2", "1")
    page.get_by_role("button", name="ink wash").filter(visible=True).click()
    inked = settled(page, bold)
    assert marked(page) == ["astronaut", "ink_wash", "bold"]
    page.wait_for_function("() => document.querySelectorAll('.strip li').length === 3")
    page.get_by_role("button", name="Undo").click()
    assert settled(page, inked) == bold
    page.keyboard.press("Control+y")
    assert settled(page, bold) == inked
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("The link is copied.").wait_for()
    link = page.evaluate("() => navigator.clipboard.readText()")
    choose(page, tmp_path / "mine.png")
    page.wait_for_function("() => document.querySelector('.comparison img').naturalWidth === 300")
    plain = settled(page)
    page.wait_for_function("() => document.querySelectorAll('.strip li').length >= 4")  # what is in view for less is not kept
    page.get_by_role("checkbox", name="Brush").check(force=True)
    paint(page, (0.1, 0.5), (0.4, 0.5))
    mine = settled(page, plain)
    page.wait_for_function("() => document.querySelectorAll('.strip li').length >= 5")
    page.reload()
    assert settled(page) == mine
    assert page.locator(".strip li").count() >= 5
    assert values(page) == ("1.2", "1")
    page.get_by_role("button", name="Result 1", exact=True).click()
    assert settled(page, mine) == example
    page.goto("about:blank")
    page.goto(link)
    assert settled(page) == inked
    assert page.url == f"{address}/"  # counts once: what is done then is kept


def test_the_paint_of_each_style_is_seen_and_kept_apart(opened: Callable[..., Any]) -> None:
    page = opened()
    one = settled(page)
    page.get_by_role("tab", name="2", exact=True).click()
    page.get_by_role("button", name="mosaic").filter(visible=True).click()
    both = settled(page, one)
    page.get_by_role("checkbox", name="Brush").check(force=True)
    page.get_by_role("radio", name="mosaic").check(force=True)
    paint(page, (0.3, 0.3), (0.7, 0.3))
    mosaic = settled(page, both)
    page.get_by_role("radio", name="brush strokes").check(force=True)
    page.get_by_role("button", name="Fill the rest").click()
    filled = settled(page, mosaic)
    apart, top, foot = np.abs(pixels(filled) - pixels(one)).mean(-1), slice(140, 165), slice(380, None)
    assert apart[top, 180:330].mean() > 3 * apart[foot].mean()
    page.get_by_role("button", name="Invert").click()  # all is painted, so nothing would be: the style applies everywhere
    assert settled(page, filled) == both
    canvas = page.locator(".comparison canvas")
    canvas.focus()
    for key in ("ArrowLeft", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    assert difference(settled(page, both), both) > 3


def test_a_surprise_and_the_background_alone_take_one_click(opened: Callable[..., Any]) -> None:
    page = opened()
    example = settled(page)
    page.get_by_role("button", name="Background only").click()
    background = pixels(settled(page, example))
    page.get_by_role("button", name="Before / after").click()
    photo = pixels(page.locator(".comparison .before").get_attribute("src"))
    change = np.abs(background - photo).mean(-1)
    assert change[350:450, 80:200].mean() < 1  # the suit
    assert change[:60, 300:350].mean() > 5  # the wall
    assert marked(page)[-1] == "background"
    before = shown(page)
    page.get_by_role("button", name="Surprise me").click()
    settled(page, before)
    assert "brush_strokes" not in marked(page)


def test_the_photograph_and_the_result_are_compared_by_keyboard_in_full_screen_too(opened: Callable[..., Any]) -> None:
    page = opened()
    clipped = "() => getComputedStyle(document.querySelector('.comparison .before')).clipPath"
    assert page.evaluate(clipped) == "inset(0px 100% 0px 0px)"
    slide(page, "Compare", "End")
    assert page.evaluate(clipped) in ("inset(0px)", "inset(0px 0% 0px 0px)")
    slide(page, "Compare", "Home")
    assert page.evaluate(clipped) == "inset(0px 100% 0px 0px)"
    edge = "() => document.querySelector('.comparison [name=cut]').value"
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press("Space")
    assert page.evaluate(edge) == "100"
    page.get_by_role("button", name="Full screen").click()
    page.wait_for_function("() => document.fullscreenElement")
    page.wait_for_timeout(300)
    box = page.locator(".comparison .board").bounding_box()
    assert box["height"] > 700
    page.get_by_role("slider", name=re.compile("Compare")).focus()
    page.keyboard.press("Space")
    assert page.evaluate(edge) == "0"


def test_the_result_stays_in_view_while_the_controls_scroll(opened: Callable[..., Any]) -> None:
    for size, options in (({"width": 1280, "height": 600}, {}), (PHONE, {"has_touch": True, "is_mobile": True})):
        page = opened(size, **options)
        page.get_by_role("button", name="Colours, size, strokes").click()
        page.wait_for_timeout(300)
        page.evaluate("() => scrollTo(0, 400)")
        page.wait_for_timeout(300)
        box = page.locator(".comparison .board").bounding_box()
        assert -1 <= box["y"] < 100
        if size == PHONE:
            for label in ("Strength", "Boldness"):
                slider = page.get_by_role("slider", name=re.compile(label)).bounding_box()
                assert box["y"] + box["height"] < slider["y"] < PHONE["height"]


def test_a_new_photograph_takes_the_paint_away(opened: Callable[..., Any]) -> None:
    page = opened()
    page.get_by_role("checkbox", name="Brush").check(force=True)
    canvas = page.locator(".comparison canvas")
    everywhere = settled(page)
    canvas.click()
    spot = settled(page, everywhere)
    assert difference(everywhere, spot) > 5
    page.get_by_role("button", name="Clear", exact=True).click()
    assert settled(page, spot) == everywhere
    canvas.click()
    painted = shown(page, everywhere)
    page.get_by_role("button", name="coffee").click()
    other = settled(page, painted)
    page.get_by_role("button", name="astronaut").click()
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


def test_nothing_from_elsewhere_is_even_tried(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    blocked = page.evaluate(
        """async () => {
            const heard = new Promise((done) => addEventListener("securitypolicyviolation", (e) => done(e.blockedURI)));
            fetch("https://example.com/script.js").catch(() => {});
            return await heard;
        }"""
    )
    page.close()
    assert blocked == "https://example.com/script.js"


def test_everything_is_reached_by_keyboard(opened: Callable[..., Any]) -> None:
    page = opened()
    reached = set()
    page.locator("body").click(position={"x": 2, "y": 2})
    for _ in range(100):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => { const e = document.activeElement; return e.ariaLabel || e.title || e.innerText }"))
    for name in ("Grid", "Upload file", "coffee", "mosaic", "Save", "range slider for Strength"):
        assert name in reached


def test_no_rule_of_accessibility_is_broken_by_day_or_night(opened: Callable[..., Any]) -> None:
    """By axe-core: names, roles, contrast and so on; none of those that it calls serious or critical."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    page = opened()
    settled(page)
    page.get_by_role("checkbox", name="Brush").check(force=True)
    for name in ("Colours, size, strokes", "The same as a command and in Python"):
        page.get_by_role("button", name=name).click()
    for tab in ("Picture", "Grid", "Video", "Live"):
        page.get_by_role("tab", name=tab, exact=True).click()
        page.wait_for_timeout(300)
        if tab == "Grid":  # until it is there, Gradio labels the empty place in its own way
            page.get_by_role("img", name="The sheet").wait_for()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("dark => document.body.classList.contains('dark') === dark", arg=scheme == "dark")
            page.wait_for_timeout(300)
            broken = [rule for rule in axe.run(page).response["violations"] if rule["impact"] in ("serious", "critical")]
            assert [(rule["id"], rule["nodes"][0]["html"]) for rule in broken] == []


def test_a_bad_file_is_said_in_words_and_the_next_one_works(opened: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("hello")
    picture(90, 60).save(tmp_path / "good.png")
    page = opened()
    choose(page, tmp_path / "notes.png")
    page.get_by_text("notes.png: expected a picture, found a file of no known image format").wait_for()
    assert page.locator(".chosen img.unseen").count() == 1  # no broken picture
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_test_id("toast-body").get_by_text("notes.png: expected a picture").wait_for()
    assert "Traceback" not in page.content()
    page.get_by_role("tab", name="Live").click()
    page.get_by_test_id("toast-body").first.wait_for(state="hidden", timeout=5000)  # it would lie over the next tab
    page.get_by_role("tab", name="Picture").click()
    page.get_by_role("button", name="coffee").click()
    settled(page)
    page.get_by_role("button", name="Save", exact=True).click()
    download = page.get_by_role("button", name=re.compile("Saved: 400 x 400 PNG"))
    download.wait_for()
    slide(page, "Strength", "ArrowLeft")
    download.wait_for(state="hidden")  # it would not be the picture that is shown


def test_a_long_job_goes_on_while_a_control_moves_and_can_be_cancelled(opened: Callable[..., Any], tmp_path: Path) -> None:
    page = opened()
    make_large(page, tmp_path)
    slide(page, "Strength", "ArrowLeft")
    download = page.get_by_role("button", name=re.compile("^Saved: 2100 x 2000"))
    download.wait_for(timeout=120_000)
    settled(page)
    assert download.is_visible()
    slide(page, "Strength", "ArrowLeft")  # moved afterwards, it takes the download away
    download.wait_for(state="hidden")
    settled(page)
    begin_to_save(page)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel").wait_for(state="hidden")
    before = shown(page)
    start = time.monotonic()
    slide(page, "Strength", "ArrowLeft")
    shown(page, before)
    assert time.monotonic() - start < 20  # the rest of the tiles would take longer
    assert page.get_by_role("button", name=re.compile("^Saved")).filter(visible=True).count() == 0


def test_a_phone_shows_it_all_without_scrolling_sideways(opened: Callable[..., Any]) -> None:
    page = opened(PHONE, has_touch=True, is_mobile=True)
    assert page.locator(".comparison").bounding_box()["y"] < 120
    for tab in ("Picture", "Grid", "Video", "Live"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(300)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"], tab


def test_two_people_do_not_see_each_others_pictures(opened: Callable[..., Any], tmp_path: Path) -> None:
    register_heic()
    picture(120, 80, seed=5).save(tmp_path / "mine.heic")  # a phone's, which browsers do not show
    mine, yours = opened(), opened()
    before = settled(yours)
    choose(mine, tmp_path / "mine.heic")
    mine.wait_for_function("() => document.querySelector('.comparison img').naturalWidth === 120")
    assert settled(yours) == before
    slide(yours, "Strength", "ArrowLeft")
    assert pixels(shown(yours, before)).shape == (512, 512, 3)


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
