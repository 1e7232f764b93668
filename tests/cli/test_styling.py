"""Options that commands for many pictures share."""

from __future__ import annotations

from pathlib import Path

import pytest

from nst_adain.cli.main import main


@pytest.mark.parametrize("command", ["batch", "bulk"])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("--preserve-color coral", "--preserve-color: expected luminance, got 'coral', which needs each style anew"),
        ("--seed 1", "--seed: not allowed without --random, which draws"),
        ("--seed x --random", "argument --seed: "),
        ("--format .gif", "argument --format: "),
    ],
)
def test_wrong_ones_are_refused_before_anything_is_read_or_written(
    command: str, options: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        status = main([command, "photos", "--styles", "styles", "-o", "out", *options.split()])
    except SystemExit as ended:  # of the parser
        status = int(ended.code or 0)
    assert status == 2
    assert error in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["video clip.mp4 style.png -o out.mp4", "live style.png"])
def test_steadiness_is_below_1(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*command.split(), "--steadiness", "1"])
    assert "argument --steadiness: " in capsys.readouterr().err
