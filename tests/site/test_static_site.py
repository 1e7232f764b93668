"""The folder that `nst-adain export --site` writes: its files, its policy, and the runtime that it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from npm import package

from nst_adain.cli.main import main
from nst_adain.site import static_site
from nst_adain.site.static_site import ONLINE, RUNTIME, VERSION

PAGE = Path(static_site.__file__).parent / "page"


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The graphs, which other tests cover and which take seconds, are empty files."""

    def write(model: Any, folder: Path) -> list[Path]:
        folder.mkdir(parents=True)
        paths = [folder / f"{name}.onnx" for name in ("encoder", "modulator", "decoder")]
        for path in paths:
            path.touch()
        return paths

    monkeypatch.setattr(static_site, "export_graphs", write)


@pytest.mark.usefixtures("graphs")
def test_without_a_runtime_the_page_loads_the_pinned_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--model", "slim", "--site", str(tmp_path / "site")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "site" / "index.html")
    written = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*") if path.is_file()}
    assert {path.name for path in PAGE.iterdir()} | {"site.json", "model/decoder.onnx", "pictures/mosaic.jpg"} <= written
    assert not any(name.startswith("runtime/") for name in written)
    site = json.loads((tmp_path / "site" / "site.json").read_text())
    assert site["runtime"] == {"base": ONLINE, "files": RUNTIME}
    assert VERSION in ONLINE
    assert site["numbers"]["taps"]["relu3_2"] == {"channels": 128, "stride": 8}
    for name in ("index.html", "_headers"):
        text = (tmp_path / "site" / name).read_text()
        assert f"connect-src 'self' {ONLINE};" in text
        assert "default-src 'none';" in text


@pytest.mark.usefixtures("graphs")
def test_a_runtime_is_copied_and_nothing_else_is_allowed(tmp_path: Path) -> None:
    runtime = package("onnxruntime-web", VERSION)
    assert main(["export", "--model", "slim", "--site", str(tmp_path), "--runtime", str(runtime)]) == 0
    assert {path.name for path in (tmp_path / "runtime").iterdir()} == RUNTIME.keys()
    assert json.loads((tmp_path / "site.json").read_text())["runtime"]["base"] == "runtime/"
    assert "http" not in (tmp_path / "_headers").read_text()


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    with pytest.raises(SystemExit, match="2"):
        main(["export", "--model", "slim", *map(str, words)])
    return capsys.readouterr().err


def test_another_runtime_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for expected in ("found no ort.wasm.min.mjs in it", "found another ort.wasm.min.mjs"):
        said = refused(capsys, "--site", tmp_path / "site", "--runtime", tmp_path)
        assert f"--runtime {tmp_path}: expected" in said
        assert expected in said
        assert not (tmp_path / "site").exists()
        (tmp_path / "ort.wasm.min.mjs").write_text("other")
    assert "--runtime: expected --site" in refused(capsys, "-o", tmp_path / "graphs", "--runtime", tmp_path)


def test_each_file_of_the_page_is_short() -> None:
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 280, path
        assert path.suffix != ".js" or text.startswith("/**"), f"{path} does not say what it is"
