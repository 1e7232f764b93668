"""Previews and whole pictures as the page asks for them, from models that encode each picture once."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import picture
from pages import SAMPLES, as_shown, make, pixels, settings, upload
from PIL import Image
from skimage.metrics import structural_similarity

from nst_adain.errors import UsageError
from nst_adain.models.architecture import Architecture
from nst_adain.models.networks import Decoder
from nst_adain.models.pretrained import save_weights
from nst_adain.stylizer import Stylizer
from nst_adain.web.actions import Actions
from nst_adain.web.request import PREVIEW, PREVIEW_PIXELS
from nst_adain.web.studio import Studio


def test_full_size_equals_the_python_call(actions: Actions, base: Stylizer, samples: Path) -> None:
    files = [samples / f"{name}.png" for name in SAMPLES]
    values = settings(*({"path": str(file)} for file in files), shares=[10, 30, 0, 0], alpha=0.8)
    expected = base(files[0], files[1:], weights=[10, 30], alpha=0.8)
    np.testing.assert_array_equal(np.asarray(make(actions, values)), np.asarray(expected))


def test_a_decoder_alone_is_given_the_encoder(samples: Path, teacher: Path, tmp_path: Path) -> None:
    decoder = str(tmp_path / "decoder.safetensors")
    arch = Architecture("vgg19", taps=("relu4_1",))
    save_weights(decoder, arch, {f"decoder.{k}": v for k, v in Decoder().state_dict().items()})
    studio = Studio(["slim", decoder], encoder=teacher, device="cpu", precision="float32")
    actions = Actions(studio, samples.parent.resolve())
    photo, style = (upload(actions, picture(24, 16, seed), f"{seed}.png") for seed in (1, 2))
    expected = Stylizer.from_pretrained(decoder, encoder=teacher, device="cpu")(photo["path"], style["path"])
    values = settings(photo, style, model=decoder)
    np.testing.assert_array_equal(np.asarray(make(actions, values)), np.asarray(expected))
    _, command, code, *_ = actions.preview(values)
    # Its name is enough: a page does not say where files are on its server.
    assert shlex.split(command)[-2:] == ["--encoder", teacher.name]
    assert f"Stylizer.from_pretrained({decoder!r}, encoder={teacher.name!r})" in code
    assert "encoder" not in actions.preview(settings(photo, style))[1]
    with pytest.raises(UsageError, match="encoder: expected none for models that have their own"):
        Studio(["slim"], encoder=teacher, device="cpu")


def test_a_preview_is_the_picture_in_small(actions: Actions, base: Stylizer, samples: Path) -> None:
    large = upload(actions, Image.open(samples / "coffee.png").resize((900, 700)), "large.png")
    values = settings(large, {"path": str(samples / "mosaic.png")}, alpha=0.7)
    shown = pixels(actions.preview(values)[0]["after"])
    assert min(shown.shape[:2]) == PREVIEW
    expected = base(large["path"], samples / "mosaic.png", alpha=0.7, size=PREVIEW)
    np.testing.assert_array_equal(shown, np.asarray(as_shown(expected)))


@pytest.mark.parametrize("settled", [{}, {"size": 900, "alpha": 0.6}, {"look_size": 700}, {"color": "luminance"}], ids=str)
def test_a_preview_is_the_full_size_picture(actions: Actions, samples: Path, settled: dict[str, Any]) -> None:
    """Someone who likes a preview gets that picture, whatever the size of the photograph."""
    with Image.open(samples / "astronaut.png") as image:
        photo = upload(actions, image.resize((1300, 1100), Image.Resampling.LANCZOS), "large.png")
    values = settings(photo, {"path": str(samples / "brush_strokes.png")}, **settled)
    shown = pixels(actions.preview(values)[0]["after"])
    full = make(actions, values)
    assert min(full.size) == settled.get("size", 1100)
    assert min(shown.shape[:2]) == settled.get("look_size", PREVIEW)
    small = np.asarray(full.resize(shown.shape[1::-1], Image.Resampling.LANCZOS).convert("RGB"), dtype=float)
    assert structural_similarity(shown.mean(-1), small.mean(-1), data_range=255) >= 0.9
    assert np.abs(shown - small).mean() <= 9


@pytest.mark.parametrize("color", ["", "coral"])
@pytest.mark.parametrize("style_size", [100, 600])
def test_a_preview_has_the_strokes_that_are_asked_for(actions: Actions, color: str, style_size: int) -> None:
    noise = Image.effect_noise((700, 700), 90).convert("RGB")
    photo, style = upload(actions, picture(45, 31), "photo.png"), upload(actions, noise, "style.png")
    values = settings(photo, style, color=color, style_size=style_size)
    shown = pixels(actions.preview(values)[0]["after"])
    np.testing.assert_array_equal(shown, np.asarray(as_shown(make(actions, values))))


@pytest.mark.parametrize("size", [(4000, 3), (3, 4000), (1, 1)])
def test_a_preview_is_bounded(actions: Actions, samples: Path, size: tuple[int, int]) -> None:
    photo = upload(actions, picture(*size), "odd.png")
    shown = pixels(actions.preview(settings(photo, {"path": str(samples / "mosaic.png")}))[0]["after"])
    assert shown.shape[0] * shown.shape[1] <= PREVIEW_PIXELS


def test_a_moving_slider_only_decodes(actions: Actions, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [{"path": str(samples / f"{name}.png")} for name in SAMPLES]
    first = actions.preview(settings(*files, alpha=0.2))[0]["after"]

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(Stylizer, "encode_content", fail)
    monkeypatch.setattr(Stylizer, "encode_style", fail)
    second = actions.preview(settings(*files, alpha=0.9, shares=[80, 10, 0, 0]))[0]
    assert second["message"] == ""
    assert np.abs(pixels(first) - pixels(second["after"])).mean() > 3


def test_out_of_memory_falls_back_to_tiles(actions: Actions, base: Stylizer, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles: list[object] = []
    call = Stylizer.__call__

    def short_of_memory(self: Stylizer, *arguments: Any, **controls: Any) -> Any:
        tiles.append(controls.get("tile"))
        if len(tiles) == 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return call(self, *arguments, **controls)

    monkeypatch.setattr(Stylizer, "__call__", short_of_memory)
    photo = upload(actions, picture(600, 520), "photo.png")
    recipe = actions.request_of(settings(photo, photo))
    image, in_tiles = actions.studio.full(recipe)
    monkeypatch.undo()
    assert in_tiles
    assert tiles == [None, 512]
    assert np.abs(np.asarray(image).astype(int) - np.asarray(base(photo["path"], photo["path"]))).max() <= 1
