"""`nst-adain app`: the web page."""

from __future__ import annotations

import argparse
import os

from nst_adain.cli.options import add_model, whole_from
from nst_adain.models.pretrained import ENCODER_VARIABLE, available_models, needs_encoder
from nst_adain.web.studio import Studio

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nst-adain app`."""
    parser.description = """\
Open a web page that stylises pictures with sliders and a brush, and makes
sheets and videos. It works without a network and sends nothing anywhere. If
the environment variables NST_ADAIN_USER and NST_ADAIN_PASSWORD are set, the
page asks for them."""
    parser.epilog = "example:\n  nst-adain app --model slim"
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on: 0.0.0.0 is all of them (%(default)s, this computer only)"
    )
    parser.add_argument("--port", type=whole_from(1, 65535), help="port to listen on (default: the first free one from 7860)")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="also answer requests for this host name (repeatable)"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address and do not open a browser")
    parser.add_argument(
        "--max-pixels", type=whole_from(1), default=50_000_000, help="largest picture to read or write, in pixels (%(default)s)"
    )
    add_model(parser)
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """Serve the web page until it is interrupted."""
    from nst_adain.web.server import serve  # here, so that --help needs no extra

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
