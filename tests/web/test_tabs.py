"""The tabs for sheets, videos and the camera in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import browsing
import numpy as np
from browsing import make_large, pixels
from samples import film

browser, opened = browsing.browser, browsing.opened  # fixtures


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
    page.get_by_role("button", name=re.compile("^Saved: 2100 x 2000")).wait_for(timeout=120_000)


def test_grid_and_video_begin_with_an_example(opened: Callable[..., Any], tmp_path: Path) -> None:
    page = opened()
    page.get_by_role("tab", name="Grid").click()
    page.get_by_role("img", name="The sheet").wait_for()
    page.get_by_role("button", name="Make the sheet").click()
    page.get_by_role("tab", name="Video").click()
    page.get_by_text("The first frame, before the video is made").wait_for()
    page.locator("label", has_text="Video").locator("..").get_by_role("button", name=re.compile("Remove|Clear")).first.click()
    page.get_by_text("Choose a video.").wait_for()
    page.locator("input[type=file]").filter(visible=False).last.set_input_files(film(tmp_path / "clip.mp4", 8))
    page.get_by_text("The first frame, before the video is made").wait_for()
    page.get_by_role("button", name="Make the video").click()
    page.wait_for_function("() => [...document.querySelectorAll('video')].some((video) => /clip__brush/.test(video.src))")


def test_the_camera_is_shown_stylised_and_its_style_changes_while_it_runs(opened: Callable[..., Any]) -> None:
    page = opened(permissions=["camera"])
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start the camera").click()
    page.get_by_text("frames per second").wait_for()
    screen = "() => document.querySelector('.live canvas').toDataURL()"
    page.get_by_role("button", name="ink wash").filter(visible=True).click()
    page.wait_for_timeout(2000)
    inked = pixels(page.evaluate(screen))
    assert inked.shape[0] == 256
    assert np.ptp(inked[..., :3].mean((0, 1))) < 40  # the fake camera is green, the style nearly grey
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Nothing is recorded or kept.").wait_for()
    page.get_by_role("button", name="Start the camera").click()
    page.get_by_text("frames per second").wait_for()
    page.get_by_role("tab", name="Grid").click()
    page.wait_for_timeout(1000)
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start the camera").wait_for()
    assert page.get_by_role("button", name="Start the camera").is_enabled()  # it does not run on unseen
