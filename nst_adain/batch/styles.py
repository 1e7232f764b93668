"""Finds and encodes the styles of a batch, several at the same time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from nst_adain.batch.cores import Cores, area, why
from nst_adain.batch.pairing import find_pictures, names_of
from nst_adain.controls import is_saved
from nst_adain.functional import SAVED, ChannelStats
from nst_adain.images.io import load_image
from nst_adain.images.opening import READABLE_SUFFIXES
from nst_adain.streams import progress_bar
from nst_adain.stylizer import Stylizer

__all__ = ["encode_styles", "find_styles"]


def find_styles(styles: Path, out: Path, unread: list[tuple[Path, str]]) -> dict[Path, Path]:
    """Find the style files below a folder, or the one file given instead, and name them.

    Raises:
        NotADirectoryError: if there is no such file or folder.
        ValueError: if the folder has no styles.
    """
    if not styles.exists():
        raise NotADirectoryError(f"{styles}: expected a folder of styles, or one style, found no such file or folder")
    if styles.is_file():
        return names_of([styles], styles.parent)
    return names_of(find_pictures(styles, "styles", out, unread, {*READABLE_SUFFIXES, SAVED}), styles)


def encode_styles(
    stylizer: Stylizer,
    styles: Path,
    names: Mapping[Path, Path],
    style_size: int | None,
    max_pixels: int,
    unread: list[tuple[Path, str]],
    progress: bool,
) -> tuple[dict[Path, ChannelStats], dict[str, str]]:
    """Encode the styles of a batch.

    Args:
        stylizer: the model.
        styles: where they were found, for the error.
        names: each file's name.
        style_size, max_pixels: as for calling the stylizer.
        unread: receives the files that cannot be read, and why.
        progress: show a bar on standard error.

    Returns:
        Statistics by name, and a digest of each name's file.

    Raises:
        ValueError: if none can be read.
    """
    cores = Cores(stylizer.device)
    encoded: dict[Path, ChannelStats] = {}
    digests: dict[str, str] = {}
    failed: dict[Path, str] = {}
    bar = progress_bar(total=len(names), unit="style", shown=progress)

    def encode(path: Path) -> None:
        try:
            if is_saved(path):
                code = stylizer.encode_style(path)
                if len(code.mean) != 1:
                    raise ValueError(f"{path}: expected the code of one picture, found one of {len(code.mean)}")
            else:
                picture = load_image(path, max_pixels=max_pixels)
                with cores.share(area(picture, style_size)):
                    code = stylizer.encode_style(picture, style_size=style_size)
            # Hash the file, which the system still caches: statistics differ in their last bits between machines.
            digests[names[path].as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
            encoded[names[path]] = code
        except Exception as error:
            failed[path] = str(error) if is_saved(path) and isinstance(error, ValueError) else why(error)
        finally:
            bar.update()

    with bar:
        cores.work(encode, list(names))
    unread += [(path, failed[path]) for path in names if path in failed]
    if not encoded:
        raise ValueError(f"{styles}: expected readable pictures, found none: {unread[-1][1]}")
    return encoded, dict(sorted(digests.items()))
