"""What the page says of errors, and the long jobs that it can cancel."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from nst_adain.web.telling import CancelledError, Jobs, reported, reporting


def session(name: str) -> Any:
    return types.SimpleNamespace(session_hash=name)


def test_errors_become_messages_without_folders(tmp_path: Path) -> None:
    with pytest.raises(gr.Error) as raised, reported(tmp_path):
        raise ValueError(f"{tmp_path}/0123/a.png: expected a picture")
    assert raised.value.message == "a.png: expected a picture"
    with pytest.raises(gr.Error) as raised, reported(tmp_path):
        raise CancelledError
    assert not raised.value.visible


def test_a_job_is_cancelled_by_its_session_and_name_alone() -> None:
    jobs = Jobs()
    with jobs.cancellable(session("a"), "full") as cancelled:
        jobs.cancel(session("b"), "full")
        jobs.cancel(session("a"), "video")
        assert not cancelled.is_set()
        jobs.cancel(session("a"), "full")
        report = reporting(cancelled, lambda *_, **__: None, "tiles")  # type: ignore[arg-type]
        with pytest.raises(CancelledError):
            report(0, 1)
    jobs.cancel(session("a"), "full")  # which has ended: nothing happens
