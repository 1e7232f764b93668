"""Serves the page of `nst-adain app`, and the same as an HTTP API by Gradio's client protocol.

This module sets the server up. `gate` decides which requests are answered, `limits` how large and slow they may be, `uploads`
which files are kept; `page` lays out the page, `actions` handles its controls. The page loads nothing from other sites and
sends nothing to them.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import gradio as gr
import gradio.http_server
import gradio.processing_utils
import gradio.queueing
import gradio.routes
import uvicorn
from gradio.http_server import Server
from starlette.middleware import Middleware

from nst_adain.errors import UsageError
from nst_adain.figures.samples import save_inputs
from nst_adain.images.opening import register_heic
from nst_adain.web.gate import Gate, host_name, in_words, told
from nst_adain.web.limits import BACKLOG, MAX_UPLOAD, BoundedProtocol
from nst_adain.web.page import page
from nst_adain.web.studio import Studio
from nst_adain.web.uploads import SAMPLES, Uploads, sweeping

__all__ = ["MAX_SESSIONS", "MAX_WAITING", "serve"]

MAX_WAITING = 64  # requests; further ones are rejected with a message
MAX_SESSIONS = 256  # sessions whose settings are kept


def serve(
    studio: Studio,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = True,
    allowed_hosts: Sequence[str] = (),
) -> None:
    """Serve the page until the process is interrupted (SIGTERM interrupts the command too), then remove all uploads.

    Args:
        studio: the models.
        host: the address to listen on. If the environment variables NST_ADAIN_USER and NST_ADAIN_PASSWORD are set, the page
            asks for both; if not, a warning is printed if other computers can reach the address.
        port: None takes the first free one from 7860.
        browser: open the page in a browser.
        allowed_hosts: further host names under which the page is reached, such as behind a proxy.

    Raises:
        OSError: if the port is taken.
        ValueError: if only one of the environment variables is set, or an allowed host has no name.
    """
    _check_hosts(allowed_hosts)
    login = _login()
    if login is None and not _is_local(host):
        print(f"nst-adain: warning: everyone who can reach {host} can use this page (NST_ADAIN_USER, NST_ADAIN_PASSWORD)",
              file=sys.stderr)  # fmt: skip
    _check_port(host, port)
    with tempfile.TemporaryDirectory(prefix="nst-adain-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        os.environ["GRADIO_TEMP_DIR"] = str(folder)  # read by every component as it is made
        save_inputs(folder / SAMPLES)
        register_heic()  # Gradio opens uploads with Pillow too
        _restrain_gradio(_names(host), allowed_hosts)
        place = "your computer" if _is_local(host) and not allowed_hosts else "the server of this page"
        blocks = page(studio, folder, place).queue(max_size=MAX_WAITING, default_concurrency_limit=1, api_open=False)
        _, address, _ = blocks.launch(
            server_name=f"[{host}]" if ":" in host else host,
            server_port=port,
            inbrowser=browser,
            auth=login,
            css_paths=Path(__file__).with_name("web.css"),
            theme=_theme(),
            max_file_size=MAX_UPLOAD,
            app_kwargs={"middleware": [Middleware(in_words), Middleware(Uploads, folder)]},
            state_session_capacity=MAX_SESSIONS,
            footer_links=[],
            share=False,
            run_history=False,
            enable_monitoring=False,
            mcp_server=False,
            pwa=False,
            ssr_mode=False,
            quiet=True,
            prevent_thread_lock=True,
        )
        print(f"{address} (end with Ctrl+C)", flush=True)
        with sweeping(folder):
            blocks.block_thread()


def _check_hosts(names: Sequence[str]) -> None:
    for given in names:
        if not host_name(given):
            raise UsageError(f"--allow-host: expected the name of a host, such as pictures.example.org, got {given!r}")


def _names(host: str) -> list[str]:
    """List the names under which the page is reached."""
    own = socket.gethostname().partition(".")[0]
    return ["localhost", host, *([] if _is_local(host) else [socket.gethostname(), own, f"{own}.local"])]


def _restrain_gradio(names: Sequence[str], public: Sequence[str]) -> None:
    """Patch what Gradio has no setting for; this process does nothing else."""
    # A client may name a file by its URL, and Gradio would fetch it: any size, from anywhere.
    gradio.processing_utils.async_ssrf_protected_download = _refuse_to_fetch
    gradio.http_server.Server = partial(_gated_server, names, public)  # type: ignore[assignment, misc]
    templates: Any = gradio.routes.templates
    respond = templates.TemplateResponse

    def discreet(*arguments: Any, context: dict[str, Any], **named: Any) -> Any:
        if context["config"].get("auth_required"):  # the login page would describe the API
            context = {**context, "gradio_api_info": {"named_endpoints": {}, "unnamed_endpoints": {}}}
        return respond(*arguments, context=context, **named)

    templates.TemplateResponse = discreet
    # Log errors that a client's data cause before a handler sees them in one line; handlers report their own errors.
    for module in (gradio.queueing, gradio.routes):
        module.traceback = SimpleNamespace(print_exc=_tell_error)  # type: ignore[attr-defined]


def _gated_server(names: Sequence[str], public: Sequence[str], config: uvicorn.Config) -> Server:
    """Build a server whose gate comes before all of Gradio, which would answer some requests by itself."""
    server = Server(config)  # keeps a reference to the application
    config.app, config.http, config.backlog = Gate(config.app, names, public), BoundedProtocol, BACKLOG
    config.timeout_graceful_shutdown = 1  # second: every open page holds a connection, so its end would not come by itself
    return server


def _tell_error() -> None:
    if error := sys.exc_info()[1]:
        print(f"nst-adain: a request failed: {told(error)}", file=sys.stderr)


def _theme() -> gr.themes.Base:
    """Return a theme with the computer's own fonts, and colours with contrast enough to read (WCAG 2.1, level AA)."""
    theme = gr.themes.Base(primary_hue="indigo", neutral_hue="zinc", font=["system-ui", "sans-serif"], font_mono=["monospace"])
    strong = ("color_accent", "button_primary_background_fill", "slider_color", "checkbox_background_color_selected")
    return theme.set(
        body_text_color_subdued="*neutral_500", block_info_text_color="*neutral_500", **dict.fromkeys(strong, "*primary_600")
    )


def _login() -> tuple[str, str] | None:
    user, password = os.environ.get("NST_ADAIN_USER"), os.environ.get("NST_ADAIN_PASSWORD")
    if bool(user) != bool(password):
        raise ValueError("NST_ADAIN_USER, NST_ADAIN_PASSWORD: expected both or neither, found one")
    return (user, password) if user and password else None


def _check_port(host: str, port: int | None) -> None:
    """Raise OSError if the port cannot be used: Gradio's own message names its variables and arguments."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port or 0))
        except OSError as error:
            raise OSError(f"port {port or 'any'} of {host} cannot be used: choose another with --host, --port") from error


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _refuse_to_fetch(url: str, cache_dir: str) -> NoReturn:
    raise gr.Error("expected a file that was uploaded here", print_exception=False)
