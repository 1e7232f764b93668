"""What each command of `nst-adain` does, given its options."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from nst_adain.contents import open_content
from nst_adain.controls import STYLE_SIZE, Controls, Mask, Style, check_style_size
from nst_adain.errors import ImageError, UsageError, out_of_memory
from nst_adain.files import check_folder
from nst_adain.functional import ChannelStats
from nst_adain.images import WRITABLE_SUFFIXES, output_format, save_image
from nst_adain.masks import read_controls
from nst_adain.results import check_apart
from nst_adain.roles import name_results, tell_apart
from nst_adain.stylizer import Stylizer
from nst_adain.tiff import create_tiff

__all__ = [
    "app",
    "batch",
    "convert",
    "demo",
    "export",
    "grid",
    "morph",
    "stylize",
    "video",
]


def _stylizer(arguments: argparse.Namespace) -> Stylizer:
    return Stylizer.from_pretrained(
        arguments.model, encoder=arguments.encoder, device=arguments.device, precision=arguments.precision
    )


def _encoded(stylizer: Stylizer, paths: Sequence[Path], arguments: argparse.Namespace) -> list[ChannelStats]:
    size, limit = arguments.style_size, arguments.max_pixels
    check_style_size(size, paths)
    return [stylizer.encode_style(path, style_size=size, max_pixels=limit) for path in paths]


def _strength(arguments: argparse.Namespace) -> float | Mask:
    """For many pictures: a mask is read once."""
    return read_controls({"alpha": arguments.alpha, "max_pixels": arguments.max_pixels}, ("alpha",))["alpha"]


def stylize(arguments: argparse.Namespace) -> None:
    """Photographs in the style of others; raises ValueError if some of several failed."""
    regions = [*(arguments.masks or []), arguments.label_map, arguments.alpha]
    mixed = bool(arguments.weights or arguments.masks or arguments.label_map)
    photos, names = tell_apart([arguments.content, *(arguments.styles or [])], arguments.named, mixed)
    if arguments.output and arguments.output.suffix.lower() not in WRITABLE_SUFFIXES and not arguments.named:
        raise UsageError(f"-o: expected the name of a picture, or --styles, got the folder {arguments.output}")
    outputs = name_results(arguments.output, photos, names)
    check_apart(outputs, *photos, *names, *regions)
    stylizer = _stylizer(arguments)
    controls, styles = _controls(arguments), list[Style](names)
    if len(photos) > 1:  # what they share is read once, and if it cannot be, then nothing is begun
        controls["alpha"] = _strength(arguments)
        if arguments.masks:
            controls |= read_controls({"masks": arguments.masks, "max_pixels": arguments.max_pixels}, ("masks",))
        if arguments.preserve_color != "coral":  # which needs the pictures
            styles, controls["style_size"] = [*_encoded(stylizer, names, arguments)], STYLE_SIZE
    failed = 0
    for photo, output in zip(photos, outputs, strict=True):
        try:
            _stylize(stylizer, photo, styles, output, controls, arguments)
            print(output)
        except Exception as error:
            if len(photos) == 1 or not (isinstance(error, (ImageError, OSError)) or out_of_memory(error)):
                raise
            failed += 1
            reason = "not enough memory for a picture of this size" if out_of_memory(error) else str(error)
            print(f"failed: {reason if str(photo) in reason else f'{photo}: {reason}'}", file=sys.stderr)
    if failed:
        raise ValueError(f"{failed} of {len(photos)} photographs failed")


def _controls(arguments: argparse.Namespace) -> Controls:
    return {
        "weights": arguments.weights,
        "raw_weights": arguments.raw_weights,
        "masks": arguments.label_map or arguments.masks,
        "alpha": arguments.alpha,
        "preserve_color": arguments.preserve_color,
        "size": arguments.size,
        "style_size": arguments.style_size,
        "tile": arguments.tile,
        "max_pixels": arguments.max_pixels,
        "progress": sys.stderr.isatty(),
    }


def _stylize(
    stylizer: Stylizer, photo: Path, styles: list[Style], output: Path, controls: Controls, arguments: argparse.Namespace
) -> None:
    source = photo if arguments.keep_metadata else None
    if output_format(output) == "TIFF" and (size := _size_in_tiles(photo, controls)):
        # Neither the picture nor the result is ever in memory whole.
        with create_tiff(output, *size, metadata_of=source) as pixels:
            into: Controls = {**controls, "out": pixels}
            stylizer(photo, styles, **into)
    else:
        save_image(stylizer(photo, styles, **controls), output, quality=arguments.quality, metadata_of=source)


def _size_in_tiles(photo: Path, controls: Controls) -> tuple[int, int] | None:
    """Height and width of a photograph without transparency that is rendered in tiles; None: it is another."""
    pixels, side, transparency = open_content(photo, controls["size"], controls["tile"], controls["max_pixels"])
    return None if side is None or transparency is not None else (pixels.shape[-2], pixels.shape[-1])


def grid(arguments: argparse.Namespace) -> None:
    """A sheet of results."""
    from nst_adain import grid

    output_format(arguments.output)
    check_apart(arguments.output, *arguments.contents, *arguments.styles, arguments.alpha)
    single = arguments.alphas or arguments.corners
    if single and len(arguments.contents) > 1:
        raise UsageError(f"--contents: expected one photograph with --alphas or --corners, got {len(arguments.contents)}")
    if arguments.corners and len(arguments.styles) != 4:
        raise UsageError(f"--styles: expected four with --corners, got {len(arguments.styles)}")
    if arguments.alphas and arguments.alpha != 1:
        raise UsageError("--alpha: not allowed with --alphas")
    stylizer = _stylizer(arguments)
    # No more than the cells show: every content's features are held.
    limit, side = arguments.max_pixels, arguments.size or arguments.cell
    contents = [(path.stem, stylizer.encode_content(path, size=side, max_pixels=limit)) for path in arguments.contents]
    styles = [(path.stem, code) for path, code in zip(arguments.styles, _encoded(stylizer, arguments.styles, arguments))]
    alpha = _strength(arguments)
    if arguments.alphas:
        image = grid.alpha_grid(stylizer, contents[0][1], styles, arguments.alphas, cell=arguments.cell)
    elif arguments.corners:
        image = grid.corner_grid(stylizer, contents[0][1], styles, arguments.corners, alpha=alpha, cell=arguments.cell)
    else:
        image = grid.cross_grid(stylizer, contents, styles, alpha=alpha, cell=arguments.cell)
    save_image(image, arguments.output, quality=arguments.quality)
    print(arguments.output)


def morph(arguments: argparse.Namespace) -> None:
    """An animation from style to style."""
    from nst_adain.animation import path_weights, save_animation

    if len(arguments.styles) < 2:
        raise UsageError(f"style: expected at least two, got {len(arguments.styles)}")
    check_folder(arguments.output)
    check_apart(arguments.output, arguments.content, *arguments.styles, arguments.alpha)
    stylizer = _stylizer(arguments)
    content = stylizer.encode_content(arguments.content, size=arguments.size, max_pixels=arguments.max_pixels)
    styles = _encoded(stylizer, arguments.styles, arguments)
    alpha = _strength(arguments)
    weights = path_weights(len(styles), arguments.frames, loop=arguments.loop)
    frames = (stylizer(content, list(styles), weights=w, alpha=alpha) for w in weights)
    save_animation(frames, arguments.output, fps=arguments.fps)
    print(arguments.output)


def batch(arguments: argparse.Namespace) -> None:
    """A folder of photographs; raises ValueError if some failed."""
    from nst_adain.bulk import FAILURES, stylize_folder

    if arguments.preserve_color == "coral":
        raise UsageError("--preserve-color: expected luminance, got 'coral', which would need each style anew for each photo")
    if arguments.seed is not None and not arguments.random:
        raise UsageError("--seed: not allowed without --random, which draws")
    report = stylize_folder(
        _stylizer(arguments),
        arguments.photos,
        arguments.styles,
        arguments.output,
        pairing="random" if arguments.random else "all",
        seed=arguments.seed or 0,
        suffix=arguments.format,
        quality=arguments.quality,
        overwrite=arguments.overwrite,
        size=arguments.size,
        style_size=arguments.style_size,
        max_pixels=arguments.max_pixels,
        keep_metadata=arguments.keep_metadata,
        progress=sys.stderr.isatty(),
        controls={"alpha": arguments.alpha, "preserve_color": arguments.preserve_color},
    )
    again = " (--overwrite makes them again)" if report.skipped else ""
    print(f"{arguments.output}: {report.done} written, {report.skipped} there already{again}, {len(report.failed)} failed")
    for file, error in report.failed:
        print(f"failed: {error if str(file) in error else f'{file}: {error}'}", file=sys.stderr)
    if report.failed:
        raise ValueError(f"{len(report.failed)} failed, listed in {arguments.output / FAILURES}")


def video(arguments: argparse.Namespace) -> None:
    """A video; raises ValueError if it was cut short."""
    from nst_adain.truncation import describe_cut
    from nst_adain.video import stylize_video

    ends = [path for path in (arguments.start, arguments.end) if path]
    if bool(arguments.styles) == bool(ends) or len(ends) == 1:
        raise UsageError("style: expected a style, or --from and --to")
    if ends and arguments.weights:
        raise UsageError("--weights: not allowed with --from and --to")
    if arguments.preserve_color == "coral":
        raise UsageError("--preserve-color: expected luminance, got 'coral', which would need the style anew for each frame")
    stylizer = _stylizer(arguments)
    styles = _encoded(stylizer, arguments.styles or ends, arguments)
    count = stylize_video(
        stylizer,
        arguments.source,
        styles,
        arguments.output,
        weights=[1, 0] if ends else arguments.weights,
        end_weights=[0, 1] if ends else None,
        steadiness=arguments.steadiness,
        size=arguments.size,
        crf=arguments.crf,
        max_pixels=arguments.max_pixels,
        keep_metadata=arguments.keep_metadata,
        progress=sys.stderr.isatty(),
        controls={"alpha": arguments.alpha, "preserve_color": arguments.preserve_color},
    )
    print(f"{arguments.output}: {count} frames")
    if cut := describe_cut(arguments.source):
        raise ValueError(cut)


def app(arguments: argparse.Namespace) -> None:
    """The web page, until it is ended."""
    from nst_adain.pretrained import ENCODER_VARIABLE, available_models, needs_encoder
    from nst_adain.studio import Studio
    from nst_adain.web import serve

    encoder = arguments.encoder or os.environ.get(ENCODER_VARIABLE)
    ready = [name for name in available_models() if encoder or not needs_encoder(name)]
    models = list(dict.fromkeys([arguments.model, *ready]))
    studio = Studio(
        models,
        encoder=arguments.encoder,
        device=arguments.device,
        precision=arguments.precision,
        max_pixels=arguments.max_pixels,
    )
    serve(
        studio,
        host=arguments.host,
        port=arguments.port,
        browser=not arguments.no_browser,
        allowed_hosts=arguments.allow_host,
    )


def demo(arguments: argparse.Namespace) -> None:
    """A sheet of results from the package's own pictures."""
    from nst_adain.demo import controls_sheet, demo_sheet, save_inputs

    if arguments.inputs:  # the sheet may be asked for in the same new folder
        save_inputs(arguments.inputs)
    output_format(arguments.output)
    stylizer = _stylizer(arguments)
    image = controls_sheet(stylizer) if arguments.controls else demo_sheet(stylizer, progress=sys.stderr.isatty())
    save_image(image, arguments.output, quality=arguments.quality)
    print(arguments.output)


def convert(arguments: argparse.Namespace) -> None:
    """Published weights to .safetensors."""
    from nst_adain.published import convert_published

    check_folder(arguments.output)
    print(f"{arguments.output}: {convert_published(arguments.source, arguments.output)}")


def export(arguments: argparse.Namespace) -> None:
    """Graphs for ONNX Runtime."""
    from nst_adain.export import export_onnx
    from nst_adain.pretrained import load_model

    for path in export_onnx(load_model(arguments.model, encoder=arguments.encoder), arguments.output):
        print(path)
