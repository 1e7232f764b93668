"""The page in a real browser, for its tests: how people open it, and what they do there."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CAMERA, chromium
from conftest import picture
from PIL import Image

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium(*CAMERA) as browser:
        yield browser


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


def make_large(page: Any, folder: Path) -> None:
    """Begin to make a picture of six tiles, and wait until it is being made."""
    picture(2100, 2000).save(folder / "large.png")
    choose(page, folder / "large.png")
    settled(page)
    begin_to_save(page)


def begin_to_save(page: Any) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text(re.compile(r"\d/6 tiles|\d/6")).first.wait_for(timeout=60_000)
