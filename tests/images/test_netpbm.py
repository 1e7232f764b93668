"""PBM, PGM and PPM files: text and binary, comments, and white other than 255."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from conftest import picture

from nst_adain.errors import ImageError
from nst_adain.images import netpbm
from nst_adain.images.io import load_image
from nst_adain.images.masks import read_label_map


def shown(path: Path, data: bytes) -> np.ndarray:
    path.write_bytes(data)
    return np.asarray(load_image(path))


@pytest.mark.parametrize(("mode", "suffix"), [("1", "pbm"), ("L", "pgm"), ("RGB", "ppm")])
def test_what_pillow_writes_is_read(tmp_path: Path, mode: str, suffix: str) -> None:
    image = picture(37, 29).convert(mode)
    image.save(tmp_path / f"x.{suffix}")
    assert load_image(tmp_path / f"x.{suffix}").tobytes() == image.convert("RGB").tobytes()


def test_text_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "x.ppm"
    assert shown(path, b"P1 # one\n3 # two\n2\n1 0 1\n01#three\n0")[..., 0].tolist() == [[0, 255, 0], [255, 0, 255]]
    assert shown(path, b"P2\n3 1\n#white\n200\n0 100\n200")[..., 0].tolist() == [[0, 128, 255]]
    assert shown(path, b"P3 1 1 255\n# red\n1 # green\n2\t3").tolist() == [[[1, 2, 3]]]
    assert shown(path, b"P6\n# a\n# b\n1 1 255 abc").tolist() == [[[97, 98, 99]]]


@pytest.mark.parametrize("white", [1, 7, 254, 255, 256, 1000, 65535])
@pytest.mark.parametrize("kind", [5, 6])
def test_any_white_becomes_255(tmp_path: Path, white: int, kind: int) -> None:
    levels = np.linspace(0, white, 12).round().astype(">u2" if white > 255 else "u1").reshape(4, 3)
    if kind == 6:
        levels = levels[..., None].repeat(3, -1)
    result = shown(tmp_path / "x.ppm", b"P%d 3 4 %d\n" % (kind, white) + levels.tobytes())
    expected = levels.astype(float) * 255 / white
    assert np.abs(result - (expected if kind == 6 else expected[..., None])).max() <= 0.51


def test_label_maps_keep_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "x.pgm").write_bytes(b"P5 3 1 2\n\0\1\2")
    masks = read_label_map(tmp_path / "x.pgm", 3, (1, 3))
    assert [mask.flatten().tolist() for mask in masks] == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


@pytest.mark.parametrize(("data", "message"), [
    (b"P6 2 2 255 abc", "cut short .*after the first 0"),
    (b"P5 4", "its header ends after 1 numbers"),
    (b"P5 x 4 255 abcd", "its header ends after 0 numbers"),
    (b"P5 0 4 255 abcd", "found 0 x 4 to 255"),
    (b"P5 2 2 70000 " + bytes(9), "found 2 x 2 to 70000"),
    (b"P5 2 2 0 " + bytes(9), "found 2 x 2 to 0"),
    (b"P5 2 2 9 \0\1\2\x0a", "levels to 10, where white is 9"),
    (b"P2 2 1 255 1 -2", "other letters than digits"),
    (b"P2 2 1 255 1 99999999999999999999999", "levels to"),
    (b"P1 2 1 1 7", "levels to"),
    (b"P3 1 1 255 1 2", "cut short"),
    (b"P3 99999 99999 255 1 2", "more than the limit of"),
])  # fmt: skip
def test_damaged_files_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "x.ppm").write_bytes(data)
    with pytest.raises(ImageError, match=rf"x\.ppm: .*{message}"):
        load_image(tmp_path / "x.ppm")


def test_millions_of_comments_and_levels_take_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.perf_counter()
    assert shown(tmp_path / "a.ppm", b"P3\n1 1\n255\n" + b"#a\n" * 1_000_000 + b"1 2 3").tolist() == [[[1, 2, 3]]]
    assert shown(tmp_path / "b.pgm", b"P5 4000 3000 254\n" + bytes(12_000_000)).shape == (3000, 4000, 3)
    assert time.perf_counter() - began < 10
    monkeypatch.setattr(netpbm, "_LONGEST_TEXT", 1000)
    (tmp_path / "c.pgm").write_bytes(b"P2 600 1 9 " + b"1 " * 600)
    with pytest.raises(ImageError, match=r"c\.pgm: more than 1,000 bytes of text; write it in the binary form"):
        load_image(tmp_path / "c.pgm")
