"""Commands that a signal asks to end: one line, exit status 130, from the first moment to the last."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest

from nst_adain.cli import main as cli
from nst_adain.cli.main import main
from nst_adain.interrupts import interruptible


def test_an_interrupt_while_libraries_are_loaded_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_parser", interrupted)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == "nst-adain: interrupted\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is not ended by a signal")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("program", ["nst_adain", "train"])
def test_an_interrupt_from_the_first_moment_is_one_line(tmp_path: Path, program: str, name: str) -> None:
    """Also in a library that lets no exception out while it is loaded."""
    (tmp_path / "torch.py").write_text(
        "import time\nprint('loading', flush=True)\ntry:\n    time.sleep(60)\nexcept BaseException:\n    pass"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"}
    command = [sys.executable, "-m", program, *(["demo"] if program == "nst_adain" else ["fit"])]
    number = getattr(signal, name)
    heeded = lambda: signal.signal(number, signal.SIG_DFL)  # also where the tests run in the background, as by `&` in a script
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeded
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "loading\n"
            process.send_signal(number)
            assert process.communicate(timeout=60)[1] == f"{program.replace('_', '-')}: interrupted\n"
        finally:
            process.kill()
    assert process.returncode == 130


def test_an_interrupt_that_a_callback_swallows_comes_again() -> None:
    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM), sys.unraisablehook
    with pytest.raises(KeyboardInterrupt), interruptible("interrupted"):  # noqa: PT012
        del thing
        assert reference() is None
        time.sleep(10)
    assert before == (signal.getsignal(signal.SIGTERM), sys.unraisablehook)


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is not ended by a signal")
def test_an_interrupt_when_all_is_done_changes_no_status() -> None:
    code = """
import os, signal
from nst_adain.interrupts import end_at_once
class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
end_at_once("interrupted")
last = Last()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.skipif(sys.platform == "win32", reason="there Python does not end with a signal")
def test_the_status_survives_an_interrupt_in_code_that_a_library_runs(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import ctypes, sys; from nst_adain.interrupts import STATUS, end_at_once; end_at_once('interrupted');"
        "ctypes.pythonapi.PyRun_SimpleString(b'raise KeyboardInterrupt'); sys.exit(STATUS)"
    )
    done = subprocess.run([sys.executable, "-m", "program"], cwd=tmp_path, check=False, capture_output=True)
    assert done.returncode == 130
