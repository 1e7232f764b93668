"""The page of `nst-adain app`, and the same as an HTTP API by Gradio's client protocol.

Here is who may ask for how much. What the page looks like is in `web_page`, what its controls do in `web_actions`. Nothing on
the page comes from elsewhere, and nothing is sent elsewhere.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import gradio as gr
import gradio.processing_utils
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nst_adain.demo import save_inputs
from nst_adain.opening import register_heic
from nst_adain.studio import Studio
from nst_adain.web_page import page

__all__ = ["serve"]

MAX_UPLOAD = 50 * 2**20  # bytes of a file, and of all files that are sent at once
MAX_REQUEST = 2 * 2**20  # of any other request
MAX_WAITING = 64  # requests; who comes later is told to try again
MAX_SESSIONS = 256  # whose settings are kept

# Gradio's page compiles templates and has its scripts and styles inline.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'; form-action 'self'"


def serve(studio: Studio, *, host: str = "127.0.0.1", port: int | None = None, browser: bool = True) -> None:
    """Show the page until the process is interrupted (as the command is by SIGTERM too), and remove what was uploaded.

    Args:
        studio: the models.
        host: the address to listen on. With the environment variables NST_ADAIN_USER and NST_ADAIN_PASSWORD, both are asked
            for; without them a warning is printed if other computers can reach the address.
        port: None takes the first free one from 7860.
        browser: open the page.

    Raises:
        OSError: if the port is taken.
        ValueError: if one of the environment variables is set and the other is not.
    """
    login = _login()
    if login is None and not _is_local(host):
        print(f"nst-adain: warning: everyone who can reach {host} can use this page (NST_ADAIN_USER, NST_ADAIN_PASSWORD)",
              file=sys.stderr)  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="nst-adain-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        os.environ["GRADIO_TEMP_DIR"] = str(folder)  # read by every component as it is made
        save_inputs(folder / "samples")
        register_heic()  # Gradio opens uploads with Pillow too
        # A client may name a file by its address, which Gradio would fetch: of any size, from anywhere.
        gradio.processing_utils.async_ssrf_protected_download = _refuse_to_fetch
        blocks = page(studio, folder).queue(max_size=MAX_WAITING, default_concurrency_limit=1)
        _check_port(host, port)
        _, address, _ = blocks.launch(
            server_name=f"[{host}]" if ":" in host else host,
            server_port=port,
            inbrowser=browser,
            auth=login,
            css_paths=Path(__file__).with_name("web.css"),
            theme=_theme(),
            max_file_size=MAX_UPLOAD,
            app_kwargs={"middleware": [Middleware(_Gate)]},
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
        blocks.block_thread()


class _Gate:
    """What passes between the page and its server.

    Requests that are longer than any of the page's are refused: Gradio limits only single files. And browsers are told to
    load nothing from elsewhere, whatever a component of Gradio might offer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = MAX_UPLOAD + 2**16 if scope.get("path", "").endswith("/upload") else MAX_REQUEST
        length = 0

        async def bounded() -> Message:
            nonlocal length
            message = await receive()
            length += len(message.get("body", b""))
            if length > limit:
                raise HTTPException(413, f"expected at most {limit:,} bytes")
            return message

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await self.app(scope, bounded, guarded)


def _theme() -> gr.themes.Base:
    """With the computer's own fonts, and grey text dark enough to be read."""
    theme = gr.themes.Base(primary_hue="indigo", neutral_hue="zinc", font=["system-ui", "sans-serif"], font_mono=["monospace"])
    return theme.set(body_text_color_subdued="*neutral_500", block_info_text_color="*neutral_500")


def _login() -> tuple[str, str] | None:
    user, password = os.environ.get("NST_ADAIN_USER"), os.environ.get("NST_ADAIN_PASSWORD")
    if bool(user) != bool(password):
        raise ValueError("NST_ADAIN_USER, NST_ADAIN_PASSWORD: expected both or neither, found one")
    return (user, password) if user and password else None


def _check_port(host: str, port: int | None) -> None:
    """Gradio's own words speak of its variables and arguments."""
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
