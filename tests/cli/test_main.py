"""The commands: their options, messages and exit statuses, interrupts, and files that are never half written."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import picture, stray
from PIL import Image
from samples import published_decoder

from nst_adain.cli.main import main
from nst_adain.images.io import load_image
from nst_adain.models.networks import StyleTransfer
from nst_adain.stylizer import Stylizer


def test_stylize_equals_the_python_call(
    base: Stylizer, photo: Path, painting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = photo.with_name("out.png")
    options = ["--alpha", "0.8", "--size", "60", "--device", "cpu", "--precision", "float32"]
    command = ["stylize", str(photo), str(painting), "-o", str(output), *options]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{output}\n"
    expected = base(photo, painting, alpha=0.8, size=60)
    with Image.open(output) as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))


def test_output_has_a_name_by_default(photo: Path, painting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["stylize", str(photo), str(painting)]) == 0
    assert (tmp_path / "photo__painting.png").is_file()


def test_demo_needs_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "demo.png"
    assert main(["demo", "-o", str(output), "--inputs", str(output.parent), "--model", "slim"]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    with Image.open(output) as image:
        sheet = np.asarray(image.convert("RGB"), dtype=float)
    cells = [sheet[326:626, 304 * c : 304 * c + 300] for c in range(5)]  # the first photograph, then in each style
    for i, a in enumerate(cells):
        for b in cells[:i]:
            assert np.abs(a - b).mean() > 5  # every style shows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--alpha", "-1"], "--alpha: expected a number from 0, got '-1'"),
        (["--alpha", "nan"], "--alpha: expected a number"),
        (["--weights", "much"], "--weights: expected a number, got 'much'"),
        (["--preserve-color", "hue"], "--preserve-color: expected one of luminance, coral, got 'hue'"),
        (["--tile", "100"], "--tile: expected auto, none or a multiple of 8, got '100'"),
        (["--look-size", "big"], "--look-size: expected none or a whole number from 1, got 'big'"),
        (["--look-size", "0"], "--look-size: expected none or a whole number from 1, got '0'"),
        (["--masks", "a.png", "--label-map", "b.png"], "not allowed with"),
        (["--size", "0"], "--size: expected a whole number from 1, got '0'"),
        (["--style-size", "1.5"], "--style-size: expected a whole number from 1, got '1.5'"),
        (["--quality", "101"], "--quality: expected a whole number from 1 to 100, got '101'"),
        (["--max-pixels", "x"], "--max-pixels: expected a whole number"),
        (["-o", "out.xyz"], "-o/--output: expected a name ending in .png"),
        (["--unknown"], "unrecognized arguments"),
        (["--model", "huge"], "got 'huge'"),
        (["--device", "toaster"], "got 'toaster'"),
        (["--device", "meta"], "got 'meta'"),
        (["--encoder", "none.safetensors"], "encoder: expected none for"),
        (["--weights", "1", "2"], "weights: expected 1 finite numbers"),
        (["--weights", "0"], "sum to 0"),
        (["--masks", "a.png", "b.png"], "masks: expected 1, one for each style, got 2"),
        (["--alpha", "0,8"], "argument --alpha: expected a number, such as 0.8, or the file of a mask, got '0,8'"),
        (["--masks", "a.png", "--raw-weights"], "raw_weights: not allowed with masks"),
    ],
)
def test_wrong_usage_exits_2(photo: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["stylize", str(photo), str(photo), *options])
    assert stopped.value.code == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("nst-adain stylize: error: ")
    assert message in error
    assert hint == "try 'nst-adain stylize --help'"


@pytest.mark.parametrize("command", [["paint"], ["convert", "x.pth", "-o", "x.pth"], ["convert", "x.pth"]])
def test_wrong_commands_exit_2(command: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert stopped.value.code == 2


def test_no_command_shows_the_help_and_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    """As clap and click do: a script that forgot its command fails, and a person sees what there is."""
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    said = capsys.readouterr()
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert (said.out, said.err) == ("", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.png", "photo.png"], "none.png: expected a picture, found no such file"),
        (["photo.png", "text.png"], "text.png: expected a picture, found a file of no known image format"),
        (["empty.png", "photo.png"], "empty.png: expected a picture, found an empty file"),
        (["cut.png", "photo.png"], "cut.png: the picture is damaged or cut short"),
        (["photo.png", "photo.png", "--max-pixels", "9"], "is 1,395 pixels, more than the limit of 9"),
        (["photo.png", "photo.png", "-o", "no/where.png"], "no/where.png: the folder no does not exist"),
        (["photo.png", "photo.png", "--model", "text.safetensors"], "text.safetensors: expected a .safetensors file"),
        (["photo.png", "photo.png", "--alpha", "much"], "much: expected a picture, found no such file"),
        (["photo.png", "photo.png", "--masks", "text.png"], "text.png: expected a picture"),
        (["photo.png", "photo.png", "--label-map", "cut.png"], "cut.png: the picture is damaged"),
        (["photo.png", "photo.png", "--label-map", "photo.png"], "photo.png: expected a label map with grey values"),
    ],
)
def test_failed_jobs_exit_1_in_one_line_and_leave_nothing(
    photo: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photo.parent)
    Path("text.png").write_text("hello")
    Path("text.safetensors").write_text("hello")
    Path("empty.png").touch()
    Path("cut.png").write_bytes(photo.read_bytes()[:200])
    before = sorted(Path().rglob("*"))
    if "-o" not in arguments:
        arguments = [*arguments, "-o", "out.png"]
    assert main(["stylize", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("nst-adain: error: ")
    assert error.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--alpha lots", "--alpha lots: expected a picture, found no such file"),
        ("--alpha text.png", "--alpha text.png: expected a picture, found a file of no known image format"),
        ("--masks photo.png text.png", "--masks text.png: expected a picture"),
        ("--label-map text.png", "--label-map text.png: expected a picture"),
        ("--label-map photo.png", "--label-map photo.png: expected a label map"),
        ("--model ./none.safetensors", "--model none.safetensors: expected a file of weights"),
        ("--model vgg19 --encoder none.safetensors", "--encoder none.safetensors: expected a file of weights"),
        ("--model vgg19 --encoder text.png", "--encoder text.png: expected a .safetensors file"),
    ],
)
def test_errors_about_a_file_of_an_option_name_the_option(
    photo: Path, options: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photo.parent)
    picture(20, 20).save("a.png")
    Path("text.png").write_text("hello")
    assert main(["stylize", "a.png", "a.png", "a.png", *options.split(), "-o", "out.png"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"nst-adain: error: {message}")
    assert error.count("\n") == 1


def test_an_error_of_the_system_about_a_file_of_an_option_names_the_option(
    photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = photo.with_name("mask.png")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(mask))

    monkeypatch.setattr("nst_adain.cli.stylize.load_stylizer", denied)
    assert main(["stylize", str(photo), str(photo), "--alpha", str(mask), "-o", str(photo.with_name("out.png"))]) == 1
    assert capsys.readouterr().err == f"nst-adain: error: --alpha {mask}: Permission denied\n"


def test_pillows_remarks_are_not_printed(photo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import struct

    damaged = photo.with_name("damaged.jpg")
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + struct.pack("<H", 500)
    Image.open(photo).convert("RGB").save(damaged, exif=exif)
    with pytest.warns(UserWarning, match="Corrupt EXIF data"), Image.open(damaged) as image:
        image.getexif()
    assert main(["stylize", str(damaged), str(photo), "-o", str(photo.with_name("out.png"))]) == 0
    assert capfd.readouterr().err == ""


def test_every_control_reaches_the_python_call(base: Stylizer, photo: Path, painting: Path) -> None:
    mask = photo.with_name("mask.png")
    Image.linear_gradient("L").save(mask)
    output = photo.with_name("out.png")
    files = [str(path) for path in (photo, painting, photo)]
    options = (
        f"-o {output} --weights 2 1 --masks {mask} --alpha {mask} --preserve-color coral --size 40 --style-size 40 --tile 32"
        " --look-size 24 --detail photo --precision float32"
    )
    command = ["stylize", *files, *options.split()]
    assert main(command) == 0
    expected = base(photo, [painting, photo], weights=[2, 1], masks=[mask], alpha=mask, preserve_color="coral", size=40,
                    style_size=40, look_size=24, detail="photo", tile=32)  # fmt: skip
    with Image.open(output) as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))
    labels = photo.with_name("labels.png")
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(labels)
    command = ["stylize", *files, "-o", str(output), "--label-map", str(labels), "--precision", "float32"]
    assert main(command) == 0
    with Image.open(output) as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(base(photo, [painting, photo], masks=labels)))


def test_running_out_of_memory_is_said_in_words(
    photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(StyleTransfer, "encode", fail)
    assert main(["stylize", str(photo), str(photo), "-o", str(photo.with_name("out.png"))]) == 1
    assert "make it smaller with --size or --tile" in capsys.readouterr().err
    assert main(["morph", str(photo), str(photo), str(photo), "-o", str(photo.with_name("out.gif"))]) == 1
    assert capsys.readouterr().err.endswith("make it smaller with --size\n")


@pytest.mark.parametrize(
    "command", ["stylize a.png s -o o.png", "grid --contents a.png --styles s -o o.png", "morph a.png s s -o o.gif --frames 2"]
)
def test_a_saved_style_is_a_style(base: Stylizer, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    picture(40, 30).save("a.png")
    picture(40, 30, 2).save("s.png")
    base.encode_style("s.png").save("s.safetensors")
    made = []
    for style in ("s.png", "s.safetensors"):
        assert main([style if word == "s" else word for word in command.split()] + ["--precision", "float32"]) == 0
        made.append(Path(command.split()[command.split().index("-o") + 1]).read_bytes())
    assert made[0] == made[1]


def test_inputs_are_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("grid.png", "morph.gif", "s.png"):
        picture().save(name)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for command in (
        "stylize grid.png s.png -o s.png",
        "stylize grid.png s.png -o ./grid.png",
        "stylize grid.png s.png --alpha morph.png -o morph.png",
        "grid --contents grid.png --styles s.png",
        "morph s.png s.png morph.gif",
    ):
        with pytest.raises(SystemExit, match="2"):
            main(command.split())
        assert "expected another name than that of an input" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("batch in --styles in -o a.png", "a.png: expected a folder, found a file of this name"),
        ("batch in --styles in -o a.png/b", "b: expected a folder, found a file of this name or of one above it"),
        ("demo --inputs a.png", "a.png: expected a folder, found a file of this name"),
        ("export -o a.png", "a.png: expected a folder, found a file of this name"),
        ("video in a.png -o x.mp4", "in: expected a video, found a folder"),
    ],
)
def test_files_for_folders_and_folders_for_files(
    command: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("a.png", "in/b.png"):
        picture().save(name)
    assert main(command.split()) == 1
    assert message in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are Unicode")
def test_names_that_are_no_unicode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"caf\xe9")
    picture().save("s.png")
    (tmp_path / "s.png").rename(tmp_path / f"{name}.png")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "utf-8"))
    assert main(["stylize", f"{name}.png", f"{name}.png"]) == 0
    assert (tmp_path / f"{name}__{name}.png").is_file()


def test_names_made_of_long_names_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photo, style = tmp_path / f"{'ä' * 100}.png", tmp_path / f"{'b' * 200}.png"
    for path in (photo, style):
        picture().save(path)
    assert main(["stylize", str(photo), str(style)]) == 0
    assert (tmp_path / f"{'ä' * 60}__{'b' * 120}.png").is_file()


@pytest.mark.parametrize(
    "command", ["grid --contents a.png --styles s.png", "morph a.png s.png s.png", "batch in --styles st -o out"]
)
def test_the_limit_of_pixels_can_be_chosen(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "s.png", "in/a.png", "st/s.png"):
        Path(name).parent.mkdir(exist_ok=True)
        picture(40, 30).save(name)
    assert main([*command.split(), "--max-pixels", "1000"]) == 1
    assert "40 x 30 is 1,200 pixels, more than the limit of 1,000" in capsys.readouterr().err
    assert main([*command.split(), "--max-pixels", "100000"]) == 0


@pytest.mark.parametrize(
    "command", ["grid --contents a.png --styles s.png s.png --cell 32", "morph a.png s.png s.png --frames 3"]
)
def test_a_mask_is_read_once_for_many_pictures(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "s.png"):
        picture(40, 30).save(name)
    Image.linear_gradient("L").save("mask.png")
    read: list[str] = []

    def load(path: Path, **limits: int) -> Image.Image:
        read.append(str(path))
        return load_image(path, **limits)

    for module in ("images.masks", "images.inputs"):
        monkeypatch.setattr(f"nst_adain.{module}.load_image", load)
    assert main([*command.split(), "--alpha", "mask.png"]) == 0
    assert read.count("mask.png") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is not terminated by a signal")
def test_termination_leaves_nothing_half_written(tmp_path: Path, painting: Path) -> None:
    picture(640, 480).save(tmp_path / "a.png")
    command = ["morph", "a.png", str(painting), str(painting), "-o", "out.mp4", "--frames", "100000"]
    process = subprocess.Popen([sys.executable, "-m", "nst_adain", *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(600):
            if any(path.name.startswith(".") for path in tmp_path.iterdir()):
                break
            time.sleep(0.1)
        process.terminate()
        assert "interrupted" in process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "painting.png"]


@pytest.mark.parametrize("weight", ["-1e-3", "-1.E-3", "-.001"])
def test_negative_numbers_are_no_options(photo: Path, painting: Path, tmp_path: Path, base: Stylizer, weight: str) -> None:
    output = tmp_path / "out.png"
    assert main(["stylize", str(photo), str(painting), str(photo), "-o", str(output), "--weights", weight, "1"]) == 0
    expected = base(photo, [painting, photo], weights=[-1e-3, 1])
    np.testing.assert_array_equal(np.asarray(Image.open(output)), np.asarray(expected))


def test_convert_and_stylise_with_a_full_width_decoder(tmp_path: Path, photo: Path, teacher: Path) -> None:

    torch.save(published_decoder().state_dict(), tmp_path / "decoder.pth")
    decoder = str(tmp_path / "decoder.safetensors")
    assert main(["convert", str(tmp_path / "decoder.pth"), "-o", decoder]) == 0
    output = tmp_path / "out.webp"
    assert main(["stylize", str(photo), str(photo), "-o", str(output), "--model", decoder, "--encoder", str(teacher)]) == 0
    assert output.is_file()


def test_convert_of_a_missing_file_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(tmp_path / "none.pth"), "-o", str(tmp_path / "x.safetensors")]) == 1
    assert "none.pth: expected a file of published weights" in capsys.readouterr().err


def test_names_are_printed_on_any_terminal(
    photo: Path, painting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed := io.BytesIO(), "cp1252"))
    assert main(["stylize", str(photo), str(painting), "-o", "Ω.png"]) == 0
    sys.stdout.flush()
    assert printed.getvalue().split() == [rb"\u03a9.png"]
    assert (tmp_path / "Ω.png").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch does not use GNU's OpenMP")
@pytest.mark.parametrize(
    ("given", "spins"), [({}, "1000"), ({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "passive"}, "0")]
)
def test_waiting_threads_soon_leave_the_core_to_others(given: dict[str, str], spins: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    environment |= {"OMP_DISPLAY_ENV": "verbose", **given}  # the library tells how it is set
    command = [sys.executable, "-m", "nst_adain", "stylize", "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("this torch does not use GNU's OpenMP")
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is not ended by a signal")
def test_what_is_ignored_stays_ignored_and_handlers_come_back() -> None:
    code = """
import os, signal, sys
from nst_adain.interrupts import interruptible
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
before = signal.getsignal(signal.SIGTERM)
try:
    with interruptible("interrupted"):
        os.kill(os.getpid(), signal.SIGHUP)
        print("on")
        os.kill(os.getpid(), signal.SIGTERM)
except KeyboardInterrupt:
    print("raised", signal.getsignal(signal.SIGTERM) == before)
with interruptible("twice"):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("on\nraised True\n", "twice\n", 130)


def test_what_a_killed_call_left_beside_the_output_is_removed(photo: Path, painting: Path) -> None:
    left = stray(photo.parent)
    assert main(["stylize", str(photo), str(painting), "-o", str(photo.with_name("out.png"))]) == 0
    assert not left.exists()
