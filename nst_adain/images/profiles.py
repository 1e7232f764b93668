"""Converts the colours of pictures to sRGB, from what they say of them: a profile, or code points."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageChops, ImageCms

from nst_adain.images.colorimetry import CodePoints, to_display
from nst_adain.images.opening import CODE_POINTS

__all__ = ["in_srgb"]

_GREY = b"GRAY"  # a profile's colour model, at bytes 16 to 20
_BAND = 1 << 22  # pixels to convert at once


def in_srgb(image: Image.Image, info: Mapping[str | tuple[int, int], object]) -> Image.Image:
    """Convert a picture, perhaps in place.

    Args:
        image: of mode "RGB", "RGBA", "L" or "CMYK".
        info: what is known of it: code points, a profile, or, from pillow_heif, an "nclx_profile". A profile that is damaged or
            for another colour model is ignored, as image viewers do, and so are code points that nobody knows.

    Returns:
        Mode "RGB" or "RGBA".
    """
    profile, colors = info.get("icc_profile"), info.get(CODE_POINTS)
    if isinstance(profile, bytes) and profile and colors is None:
        with contextlib.suppress(ImageCms.PyCMSError, OSError, TypeError):
            image = _by_profile(image, profile)
    image = image if image.mode in ("RGB", "RGBA") else image.convert("RGB")
    nclx = info.get("nclx_profile")
    if isinstance(nclx, Mapping) and not profile:
        colors = CodePoints(nclx.get("color_primaries", 0), nclx.get("transfer_characteristics", 0))
    if isinstance(colors, CodePoints) and colors.are_known and not colors.are_the_displays:
        _by_code_points(image, colors)
    return image


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    alpha = None
    if profile[16:20] == _GREY and image.mode in ("RGB", "RGBA"):  # grey that a decoder has spread to three channels
        red, green, blue = image.split()[:3]
        if ImageChops.difference(red, green).getbbox() or ImageChops.difference(red, blue).getbbox():
            return image
        alpha = image.getchannel("A") if image.mode == "RGBA" else None
        image = red
    here = image.mode in ("RGB", "RGBA")
    converted = ImageCms.profileToProfile(image, source, target, outputMode=None if here else "RGB", inPlace=here)
    image = image if converted is None else converted
    if alpha is not None:
        image.putalpha(alpha)
    return image


def _by_code_points(image: Image.Image, colors: CodePoints) -> None:
    """Convert a picture of mode "RGB" or "RGBA" in place, in bands: a huge one should not be copied."""
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        band = np.array(image.crop(box))
        band[..., :3] = to_display(band[..., :3], colors)
        image.paste(Image.fromarray(band), box)
