"""Models on the Hugging Face Hub: loaded, pinned, found in the cache without a network, and put there; by a stand-in."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nst_adain.errors import UsageError
from nst_adain.models.hub import is_repository, model_card, push_to_hub
from nst_adain.models.networks import StyleTransfer
from nst_adain.models.pretrained import find_weights
from nst_adain.stylizer import Stylizer

FIRST, SECOND = "1" * 40, "2" * 40  # commits


class Hub(http.server.ThreadingHTTPServer):
    """The part of the Hub's HTTP API that is needed: files by revision, new repositories, commits."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files: dict[tuple[str, str], bytes] = {}  # by commit and path
        self.branches = {"main": FIRST}
        self.asked: list[str] = []
        self.commit: list[dict[str, Any]] = []


class _Answer(http.server.BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def do_GET(self, body: bool = True) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        owner, name, resolve, revision, path = (self.path.split("?")[0].strip("/").split("/", 4) + [""] * 5)[:5]
        commit = self.server.branches.get(revision, revision)
        data = self.server.files.get((commit, path))
        if (owner, name, resolve) != ("ada", "strokes", "resolve"):
            return self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body)
        if data is None:
            known = any(commit == other for other, _ in self.server.files)
            return self.send(404, b"{}", {"X-Error-Code": "EntryNotFound" if known else "RevisionNotFound"}, body)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'}
        return self.send(200, data, headers, body)

    def do_POST(self) -> None:
        given = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(f"{self.command} {self.path}")
        if self.path == "/api/repos/create":
            answer: dict[str, Any] = {"url": f"{self.address}/ada/strokes", "id": "ada/strokes", "name": "ada/strokes"}
        elif self.path.endswith("/preupload/main"):
            files = json.loads(given)["files"]
            answer = {"files": [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]}
        else:
            self.server.commit = [json.loads(line) for line in given.splitlines()]
            answer = {"success": True, "commitOid": SECOND, "commitUrl": f"{self.address}/ada/strokes/commit/{SECOND}"}
        self.send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def send(self, status: int, data: bytes, headers: dict[str, str], body: bool = True) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(data)


@pytest.fixture
def hub() -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub")
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        for commit, model in ((FIRST, "slim"), (SECOND, "base")):
            server.files[commit, "model.safetensors"] = find_weights(model).read_bytes()
        yield server
        server.shutdown()
        thread.join()


def asked(code: str, hub: Hub | int, cache: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run some Python in a process of its own, whose Hub is the stand-in."""
    port = hub if isinstance(hub, int) else hub.server_port
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("HF_")},
        "HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HOME": str(cache), "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path), "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_TELEMETRY": "1", **more,
    }  # fmt: skip
    code = f"from nst_adain import Stylizer\nfrom nst_adain.models.pretrained import find_weights\n{code}"
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_a_model_is_loaded_once_and_a_revision_is_pinned(hub: Hub, tmp_path: Path) -> None:
    code = "s = Stylizer.from_pretrained('ada/strokes', device='cpu'); print(s.name, s.file, s.fingerprint)"
    done = asked(code, hub, tmp_path)
    assert done.returncode == 0, done.stderr
    name, file, fingerprint = done.stdout.split()
    assert (name, fingerprint) == ("ada/strokes", Stylizer.from_pretrained("slim", device="cpu").fingerprint)
    assert Path(file).is_relative_to(tmp_path)
    assert Path(file).read_bytes() == find_weights("slim").read_bytes()
    assert all(path.endswith("/model.safetensors") for path in hub.asked)  # nothing else is read
    hub.branches["main"] = SECOND
    names = ["ada/strokes", f"ada/strokes@{FIRST}", f"ada/strokes@{SECOND}", "ada/strokes"]
    done = asked(f"for name in {names[1:]}: print(find_weights(name).stat().st_size)", hub, tmp_path)
    sizes = [find_weights(model).stat().st_size for model in ("slim", "base", "base")]
    assert list(map(int, done.stdout.split())) == sizes, done.stderr


def test_the_cache_is_enough_without_a_network(hub: Hub, tmp_path: Path) -> None:
    code = "print(find_weights('ada/strokes').stat().st_size)"
    assert asked(code, hub, tmp_path).returncode == 0
    count = len(hub.asked)
    offline = asked(f"{code}; find_weights('ada/other')", hub, tmp_path, HF_HUB_OFFLINE="1")
    unreachable = asked(code, 9, tmp_path)  # a port where nothing answers
    assert offline.stdout == unreachable.stdout == f"{find_weights('slim').stat().st_size}\n"
    assert len(hub.asked) == count
    assert "FileNotFoundError: ada/other: expected a model's name, a .safetensors file, or a repository" in offline.stderr


def test_what_is_not_there_is_one_error(hub: Hub, tmp_path: Path) -> None:
    hub.files["3" * 40, "weights.bin"] = b"pickle"
    code = f"""
for name in ("ada/none", "ada/strokes@v9", "ada/strokes@{"3" * 40}", "ada/str..okes"):
    try:
        find_weights(name)
    except FileNotFoundError as error:
        print(error)"""
    done = asked(code, hub, tmp_path)
    lines = done.stdout.splitlines()
    assert len(lines) == 4, done.stderr
    assert all("on the Hugging Face Hub with a file model.safetensors (" in line for line in lines)


def test_a_model_is_put_there_with_its_card(hub: Hub, tmp_path: Path) -> None:
    code = "print(Stylizer.from_pretrained('slim', device='cpu').push_to_hub('ada/strokes', private=True))"
    done = asked(code, hub, tmp_path, HF_TOKEN="hf_x")
    assert done.stdout == f"http://127.0.0.1:{hub.server_port}/ada/strokes/commit/{SECOND}\n", done.stderr
    contents = {
        entry["value"]["path"]: base64.b64decode(entry["value"]["content"]) for entry in hub.commit if entry["key"] == "file"
    }
    assert contents.keys() == {"model.safetensors", "README.md"}
    assert contents["model.safetensors"] == find_weights("slim").read_bytes()
    assert contents["README.md"].decode() == model_card(find_weights("slim"), "ada/strokes")


def test_the_card_says_what_the_metadata_says(tmp_path: Path) -> None:
    card = model_card(find_weights("base"), "ada/strokes")
    assert card.startswith("---\nlicense: mit\nlibrary_name: nst_adain\npipeline_tag: image-to-image\n")
    assert 'Stylizer.from_pretrained("ada/strokes")' in card
    assert "| Scores | pairs 36, style 0.1466, content 1.7132, ssim 0.5915 |\n" in card
    assert "| Boldness | from 0 to 1 |\n" in card
    assert "| Encoder | VGG-19, in a file of its own |\n" in model_card(find_weights("vgg19"), "ada/strokes", "cc0-1.0")


def test_only_files_are_put_there(tiny_model: StyleTransfer) -> None:
    with pytest.raises(UsageError, match="expected a Stylizer that from_pretrained loaded, got one of a model in memory"):
        push_to_hub(Stylizer(tiny_model, "cpu"), "ada/strokes")
    with pytest.raises(UsageError, match="repository: expected owner/name, got 'strokes'"):
        Stylizer.from_pretrained("slim", device="cpu").push_to_hub("strokes")


def test_what_is_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert all(map(is_repository, ["ada/strokes", "ada/strokes@v1.0", "ada/strokes@refs/pr/1", "A-1/b.c_d"]))
    for other in ("base", "ada/strokes.safetensors", "a/b/c", "./a", "../a", "/ada/strokes", "C:\\a\\b", "a/b@", "a b/c"):
        assert not is_repository(other)
    assert not is_repository(Path("ada/strokes"))
    (tmp_path / "ada").mkdir()
    for name in ("strokes", "lines.safetensors"):  # what is a file, perhaps but for its suffix, is not asked for elsewhere
        shutil.copy(find_weights("slim"), tmp_path / "ada" / name)
        assert not is_repository(f"ada/{Path(name).stem}")


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from nst_adain.cli.main import main

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModuleNotFoundError, match=r"ada/strokes: models on the Hugging Face Hub need the extra: .*\[hub\]"):
        find_weights("ada/strokes")
    with contextlib.suppress(SystemExit):
        assert main(["stylize", "a.png", "b.png", "-o", "c.png", "--model", "ada/strokes"]) == 1
    assert "huggingface_hub is missing: pip install '.[hub]'" in capsys.readouterr().err
