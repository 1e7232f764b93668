"""Render pairs of pictures, to be scored."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from nst_adain.device import Precision
from nst_adain.files import make_folder
from nst_adain.images.io import save_image
from nst_adain.images.opening import find_images
from nst_adain.models.pretrained import DEFAULT_MODEL
from nst_adain.results import pairs_by_result
from nst_adain.stylizer import Stylizer
from train.data import check_outside

__all__ = ["by_stem", "evaluate", "pairs_by_name"]


def evaluate(
    content: Path,
    style: Path,
    out: Path,
    model: str = DEFAULT_MODEL,
    pairs: Path | None = None,
    encoder: Path | None = None,
    alpha: float = 1.0,
    boldness: float | None = None,
    device: str = "auto",
    precision: Precision = "auto",
) -> None:
    """Write OUT/CONTENT__STYLE.png, in the content's size, for every pair.

    Args:
        content: folder of photographs.
        style: folder of paintings.
        out: folder for the results, made if need be.
        model: a model that ships, or a .safetensors file.
        pairs: file with a line CONTENT__STYLE (names without suffix) for each pair; default: every pair.
        encoder: full-width VGG-19, for a model that is a decoder alone.
        alpha: strength.
        boldness: of the strokes, from 0 to 1; default: the model's.
        device: where to run.
        precision: of the convolutions.
    """
    check_outside(out, content=content, style=style)
    contents, styles = by_stem(content), by_stem(style)
    known = pairs_by_name(contents, styles)
    wanted = list(known.values())
    if pairs:
        try:
            lines = [line.strip() for line in pairs.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        except UnicodeDecodeError as error:
            raise ValueError(f"{pairs}: expected lines of text ({error})") from error
        if not lines:
            raise ValueError(f"{pairs}: expected at least one pair, found none")
        if unknown := [line for line in lines if line not in known]:
            raise ValueError(f"{pairs}: expected CONTENT__STYLE after files of {content} and {style}, found {unknown[0]!r}")
        wanted = [known[line] for line in lines]
    stylizer = Stylizer.from_pretrained(model, encoder=encoder, device=device, precision=precision)
    make_folder(out)
    names = {"__".join(pair) for pair in wanted}
    if other := sorted(path for path in out.glob("*.png") if path.stem in known and path.stem not in names):
        raise ValueError(f"{other[0]}: a result of another call, which `score` would count among these; name another --out")
    encoded = {name: stylizer.encode_style(styles[name], style_size=None) for name in sorted({s for _, s in wanted})}
    for content_name, style_name in tqdm(wanted, unit="picture", disable=not sys.stderr.isatty()):
        image = stylizer(contents[content_name], encoded[style_name], alpha=alpha, boldness=boldness)
        save_image(image, out / f"{content_name}__{style_name}.png")
    print(out)


def pairs_by_name(contents: Iterable[str], styles: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Every pair by the name of its result, CONTENT__STYLE: each may have two underscores itself.

    Raises:
        ValueError: if two pairs have one name.
    """
    return pairs_by_result(("__".join(pair), pair) for pair in itertools.product(contents, styles))


def by_stem(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by their names without suffix.

    Raises:
        ValueError: if two have one.
    """
    named: dict[str, Path] = {}
    for path in find_images(folder):
        if path.stem in named:
            raise ValueError(f"{path}: expected names that differ without their suffix, found also {named[path.stem]}")
        named[path.stem] = path
    return named
