"""`nst-adain app`: the web page."""

from __future__ import annotations

import argparse
import os

from nst_adain.cli.options import add_model, whole_from
from nst_adain.models.pretrained import ENCODER_VARIABLE, available_models, needs_encoder
from nst_adain.web.studio import Studio

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `nst-adain app` is asked with."""
    parser.description = "The page works without a network. NST_ADAIN_USER and NST_ADAIN_PASSWORD, if set, are asked for."
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0: all (%(default)s: this computer only)"
    )
    parser.add_argument("--port", type=whole_from(1, 65535), help="default: the first free one from 7860")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="also answer under this host name; may be repeated"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the page, only print its address")
    parser.add_argument(
        "--max-pixels", type=whole_from(1), default=50_000_000, help="largest picture read or made (%(default)s)"
    )
    add_model(parser)
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """The web page, until it is ended."""
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
