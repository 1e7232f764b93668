"""Connects the page's components to handlers that take and return their values by name."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, TypeAlias

import gradio as gr

__all__ = ["DEVICE", "QUIET", "SOON", "Form", "asked", "components", "filled", "long_job", "run_job"]

DEVICE: dict[str, Any] = {"concurrency_id": "device", "concurrency_limit": 1}  # one job at a time, whoever asks
QUIET: dict[str, Any] = {"api_visibility": "private", "preprocess": False}
SOON: dict[str, Any] = {**QUIET, "show_progress": "hidden"}  # answered too soon to show any progress
# The components that define a request, under the names by which `Actions` knows them.
Form: TypeAlias = dict[str, Any]


def components(form: Form) -> list[gr.blocks.Block]:
    """Return all components of a form."""
    return list(itertools.chain.from_iterable(part if isinstance(part, list) else [part] for part in form.values()))


def asked(handler: Callable[..., Any], form: Form) -> Callable[..., Any]:
    """Wrap a handler so that it receives the values of a form by name: Gradio passes them by component, for a set of these."""

    @functools.wraps(handler)
    def called(values: dict[gr.blocks.Block, Any], *others: Any) -> Any:
        value = values.__getitem__
        named = {name: [*map(value, part)] if isinstance(part, list) else value(part) for name, part in form.items()}
        return handler(named, *others)

    return called


def filled(handler: Callable[..., Any], form: Form) -> Callable[..., Any]:
    """Wrap a handler that returns new values by name, of some parts of a form, so that Gradio puts them in place."""

    @functools.wraps(handler)
    def called(*arguments: Any) -> dict[gr.blocks.Block, Any]:
        values: dict[gr.blocks.Block, Any] = {}
        for name, value in handler(*arguments).items():
            part = form[name]
            values.update(zip(part, value) if isinstance(part, list) else [(part, value)])
        return values

    return called


def long_job(label: str) -> tuple[gr.Button, gr.Button, gr.DownloadButton]:
    """Lay out the buttons of a long job: make, cancel and, once it is made, download."""
    with gr.Row(elem_classes="job"):
        make = gr.Button(label, variant="primary")
        cancel = gr.Button("Cancel", variant="stop", visible=False)
        download = gr.DownloadButton("Download", visible=False, elem_classes="saved")
    return make, cancel, download


def run_job(actions: Any, buttons: Any, job: Callable[..., Any], stop: Callable[..., Any], form: Form, output: Any,
            shown_on: Any) -> Any:  # fmt: skip
    """Let the button "make" start a job, with progress, and "cancel" stop it, waiting or running; return the job's event."""
    make, cancel, download = buttons
    started = make.click(actions.begin, None, [make, cancel, download], queue=False, **SOON)
    running = started.then(asked(job, form), set(components(form)), output, show_progress_on=shown_on, **DEVICE, **QUIET)
    for ended in (running.success, running.failure):
        ended(actions.end, None, [make, cancel], queue=False, **SOON)
    cancel.click(stop, None, [make, cancel], queue=False, cancels=running, **SOON)
    return running
