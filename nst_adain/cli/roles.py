"""Which pictures of a command are photographs and which are styles, and where the results go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nst_adain.errors import UsageError
from nst_adain.images.io import WRITABLE_SUFFIXES, output_format
from nst_adain.results import pairs_by_result, result_name

__all__ = ["name_results", "tell_apart"]

_MIXED = 4  # styles, unless it is said how to mix them: more look like photographs that a pattern such as *.jpg stands for


def tell_apart(pictures: Sequence[Path], named: Sequence[Path] | None, mixed: bool) -> tuple[list[Path], list[Path]]:
    """The photographs and the styles.

    Args:
        pictures: without `named` the photograph, then the styles; else photographs alone.
        named: styles that were called so.
        mixed: whether it is said how the styles are mixed.

    Raises:
        UsageError: if there is no style, or so many that they are hardly all meant to be.
    """
    if named:
        return [*pictures], [*named]
    photo, *styles = pictures
    if not styles:
        raise UsageError("the following arguments are required: style")
    if len(styles) > _MIXED and not mixed:
        raise UsageError(
            f"style: expected at most {_MIXED}, got {len(styles)}, which would all be mixed; say which are styles, for one "
            "photograph by `nst-adain stylize PHOTO --styles STYLE ...`, for several, each in the same style, by "
            "`nst-adain stylize PHOTO ... --styles STYLE -o FOLDER`"
        )
    return [photo], styles


def name_results(output: Path | None, photos: Sequence[Path], styles: Sequence[Path]) -> list[Path]:
    """Where the result of each photograph goes: `output`, or PHOTO__STYLE.png in this folder.

    Raises:
        UsageError: if `output` is a picture, and there are several photographs.
        ValueError: if two photographs would have one result.
        OSError: if there can be no file `output`.
    """
    if output and output.suffix.lower() in WRITABLE_SUFFIXES:
        if len(photos) > 1:
            raise UsageError(f"-o: expected a folder for the results of {len(photos)} photographs, got {output}")
        output_format(output)  # a wrong name is said before the work, not after
        return [output]
    folder = output or Path()
    together = "+".join(style.name for style in styles)
    named = [(photo, photo if photo.name != "-" else Path("standard_input")) for photo in photos]
    return list(pairs_by_result((folder / result_name(name, styles), (photo, together)) for photo, name in named))
