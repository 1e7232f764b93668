"""The parsers: errors in two lines, suggestions for near misses, and the help of every command."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from nst_adain.cli.main import _COMMANDS, _parser, main


def said(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The error of a wrong call, without the line after it, which tells where help is."""
    with pytest.raises(SystemExit, match="2"):
        main(command.split())
    out, err = capsys.readouterr()
    error, hint = err.splitlines()
    program = error.split(": error: ")[0]
    assert (out, hint) == ("", f"try '{program} --help'")
    return error


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("stylise a.png b.png", "nst-adain: error: argument COMMAND: expected one of demo, stylize, "),
        ("--vesion", "nst-adain: error: unrecognized arguments: --vesion; did you mean --version?"),
        ("-x demo", "nst-adain: error: unrecognized arguments: -x"),
        ("stylize a.png b.png --aplha 0.5", "nst-adain stylize: error: unrecognized arguments: --aplha; did you mean --alpha?"),
        (
            "stylize a.png b.png --aplha=0.5",
            "nst-adain stylize: error: unrecognized arguments: --aplha=0.5; did you mean --alpha?",
        ),
        (
            "batch in --style s.png --ouput out",
            "nst-adain batch: error: unrecognized arguments: --ouput; did you mean --output?",
        ),
        ("demo --preserve-colour coral", "nst-adain demo: error: unrecognized arguments: --preserve-colour"),
        ("demo -x", "nst-adain demo: error: unrecognized arguments: -x"),
        ("demo more", "nst-adain demo: error: unrecognized arguments: more"),
        ("batch in", "nst-adain batch: error: the following arguments are required: --styles, -o/--output"),
        ("stylize a.png b.png --alpha", "nst-adain stylize: error: argument --alpha: expected one argument"),
    ],
)
def test_an_error_is_one_line_and_a_near_miss_is_named(command: str, error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(command, capsys).startswith(error)


@pytest.mark.parametrize(
    ("command", "meant"),
    [("stylise a.png b.png", "stylize"), ("demo --precision float23", "float32"), ("paint", None), ("demo --zzz", None)],
)
def test_only_what_is_near_is_suggested(command: str, meant: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, suggestion = said(command, capsys).partition("; did you mean ")
    assert suggestion == (f"{meant}?" if meant else "")


def test_what_is_no_option_is_no_near_miss() -> None:
    """Abbreviations, options of a command behind those of the program, and everything behind `--`."""
    parsed = _parser().parse_args(["stylize", "--model", "base", "--alph", "0.5", "--", "--aplha", "--style"])
    assert (parsed.content, parsed.styles, parsed.alpha) == (Path("--aplha"), [Path("--style")], 0.5)


@pytest.mark.parametrize("command", _COMMANDS)
def test_help_begins_with_a_sentence_and_ends_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    usage, sentence, *_, example = capsys.readouterr().out.split("\n\n")
    assert usage.startswith(f"usage: nst-adain {command} ")
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    lines = example.replace("\\\n", "").splitlines()
    assert lines[0].startswith("example")
    calls = [shlex.split(line)[1:] for line in lines[1:]]
    assert calls[-1][0] == command
    for words in calls:
        assert callable(_parser().parse_args(words).job)


def test_every_option_is_explained() -> None:
    for command in _COMMANDS:
        parser = _parser().parse_args([command, *REQUIRED.get(command, "").split()]).parser
        assert not [action.dest for action in parser._actions if not action.help]


REQUIRED = {
    "stylize": "a b",
    "grid": "--contents a --styles b",
    "compare": "a b",
    "morph": "a b",
    "batch": "a --styles b -o c",
    "bulk": "a --styles b -o c",
    "video": "a b -o c.mp4",
    "live": "a",
    "export": "-o a",
    "convert": "a -o b.safetensors",
    "completion": "bash",
}
