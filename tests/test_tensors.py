"""Files of weights and of styles that are damaged, or made to harm: each is refused in one line that names it."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import Tensor

from nst_adain import tensors
from nst_adain.functional import ChannelStats
from nst_adain.models import pretrained
from nst_adain.models.architecture import Architecture
from nst_adain.models.networks import Encoder, StyleTransfer
from nst_adain.models.pretrained import ARCHITECTURE_KEY, NORMS_KEY, encoder_norms, load_encoder, load_model, needs_encoder
from nst_adain.models.published import convert_published

ARCH = Architecture(width=1 / 32, modulation=2)
ALONE = Architecture("vgg19", 1 / 64, ("relu4_1",))  # of which a file has the decoder
FIELDS = {"topology": "compact", "width": 1 / 32, "taps": list(ARCH.taps), "modulation": 2}


def seeded(arch: Architecture) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return StyleTransfer(arch).state_dict()


def refused(read: Callable[[Path], object], path: Path, message: str = "") -> str:
    """The error of a file that is not read: one line of bounded length, which names it first."""
    with pytest.raises((ValueError, OSError)) as error:
        read(path)
    said = str(error.value)
    assert said.startswith(f"{path}: expected ")
    assert said.isprintable()
    assert len(said) < 1000
    assert re.search(message, said), said
    return said


NOT_WEIGHTS: list[tuple[Callable[[Tensor], Tensor], str]] = [
    (lambda x: x * math.nan, "expected finite weights, found others in encoder.conv1_1.bias"),
    (lambda x: x - math.inf, "expected finite weights, found others in"),
    (lambda x: (x + 1e6).half(), "expected finite weights, found others in"),
    (lambda x: x.double() + 1e39, "expected finite weights, found others in"),
    (lambda x: x.to(torch.int8), "expected weights in floating point, found encoder.conv1_1.bias of the type I8"),
    (lambda x: x > 0, "expected weights in floating point, found encoder.conv1_1.bias of the type BOOL"),
    (lambda x: x.long(), "expected weights in floating point, found encoder.conv1_1.bias of the type I64"),
]


@pytest.mark.parametrize(("change", "message"), NOT_WEIGHTS)
def test_what_is_not_finite_floating_point_is_no_weight(
    tmp_path: Path, change: Callable[[Tensor], Tensor], message: str
) -> None:
    path, model = tmp_path / "w.safetensors", seeded(ARCH)
    save_file(model | {"encoder.conv1_1.bias": change(model["encoder.conv1_1.bias"])}, path, metadata(ARCH))
    for read in (load_model, load_encoder):
        refused(read, path, message)
    with pytest.raises(ValueError, match="expected finite weights"):
        pretrained.save_weights(tmp_path / "x.safetensors", ARCH, {"x": torch.tensor(math.nan)})
    assert not (tmp_path / "x.safetensors").exists()


def metadata(arch: Architecture, **more: str) -> dict[str, str]:
    fields = {"topology": arch.topology, "width": arch.width, "taps": list(arch.taps), "modulation": arch.modulation}
    return {ARCHITECTURE_KEY: json.dumps(fields), **more}


ARCHITECTURES = [
    "", "null", "[]", "3", "{", "{}", "NaN", "[" * 100_000, '{"a":' * 100_000, "\ud800",
    *(json.dumps(FIELDS | changed) for changed in [
        {"modulation": True}, {"modulation": 10**30}, {"modulation": -1}, {"modulation": 2.0}, {"modulation": None},
        {"modulation": 65536}, {"modulation": [2]}, {"width": True}, {"width": "1"}, {"width": math.nan}, {"width": math.inf},
        {"width": 10**400}, {"width": 4}, {"width": None}, {"width": 0}, {"width": -1.0}, {"taps": None}, {"taps": 3},
        {"taps": "relu3_2"}, {"taps": {"relu3_2": 1}}, {"taps": [None]}, {"taps": [["relu3_2"]]}, {"taps": ["relu3_2"] * 9},
        {"taps": ["relu1_1\n" * 10_000]}, {"topology": "vgg19"}, {"topology": None}, {"topology": ["compact"]},
        {"topology": {}}, {"topology": "x\n\x1b[2J" * 10_000},
    ]),
]  # fmt: skip


@pytest.mark.parametrize("text", ARCHITECTURES, ids=range(len(ARCHITECTURES)))
def test_an_architecture_that_is_none_is_refused_before_anything_is_made_of_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "w.safetensors"
    save_file(seeded(ARCH), path, {ARCHITECTURE_KEY: text.encode(errors="replace").decode()})
    with mock.patch.object(pretrained, "StyleTransfer", None), mock.patch.object(pretrained, "Encoder", None):
        refused(load_model, path)
        if '"modulation"' not in text or '"width": 4' in text:
            refused(load_encoder, path)


NORMS = ["", "null", "[]", "{}", '"12"', "[1, 2]", "[" * 100_000, "[NaN]", "[true]", f"[{10**400}]", "{"]


@pytest.mark.parametrize("text", NORMS, ids=range(len(NORMS)))
def test_norms_that_are_none_do_not_let_another_encoder_pass(tmp_path: Path, text: str) -> None:
    model, path = seeded(ALONE), tmp_path / "w.safetensors"
    decoder = {name: value for name, value in model.items() if name.startswith("decoder.")}
    encoder = tmp_path / "e.safetensors"
    save_file(model, encoder, metadata(ALONE))
    given = load_encoder(encoder)
    count = len(given.names)
    save_file(decoder, path, metadata(ALONE, **encoder_norms(given)))
    assert needs_encoder(path)
    load_model(path, encoder=encoder)
    for odd in (text, text.replace("]", f"{', 1' * (count - 1)}]")):  # also as many as there are layers
        save_file(decoder, path, metadata(ALONE, **{NORMS_KEY: odd}))
        refused(lambda path: load_model(path, encoder=encoder), path, "norms")
    save_file(decoder, path, metadata(ALONE, **{NORMS_KEY: json.dumps([1] * count)}))
    with pytest.raises(
        ValueError, match=r"e\.safetensors: expected the encoder that .*w\.safetensors was trained with: its conv1_1"
    ):
        load_model(path, encoder=encoder)


def test_files_and_headers_of_absurd_size_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.safetensors"
    save_file(seeded(ARCH), path, metadata(ARCH, recipe=" " * tensors.LARGEST_HEADER))
    refused(load_model, path, "a header of 4,")
    save_file(seeded(ARCH), path, metadata(ARCH))
    monkeypatch.setattr(tensors, "LARGEST_FILE", 1000)
    for read in (load_model, load_encoder, needs_encoder, ChannelStats.load):
        refused(read, path, "of at most 1,000 bytes, found")
    refused(lambda path: convert_published(path, tmp_path / "x.safetensors"), path, "of at most 1,000 bytes, found")


def test_names_from_a_file_stay_in_one_short_line(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(seeded(ARCH) | {"x\n\x1b[2J" * 10_000: torch.zeros(1)}, path, metadata(ARCH))
    refused(load_model, path, "is unknown$")


# Any bytes.


def header_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(header: object, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


plain = st.none() | st.booleans() | st.integers(-1, 70) | st.integers() | st.floats() | st.text(max_size=9) | st.just(10**30)
known = st.sampled_from(["F16", "F64", "I64", "BOOL", "F8_E4M3", "F4", "compact", "vgg16", *ARCH.taps])
keys = st.sampled_from([*FIELDS, "dtype", "shape"])
values = st.recursive(
    plain | known,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)


def changed_metadata(draw: st.DrawFn, header: dict[str, Any]) -> None:
    entries = header.setdefault("__metadata__", {})
    if draw(st.booleans()):
        fields = draw(st.dictionaries(st.sampled_from([*FIELDS]), values, min_size=1, max_size=2))
        entries[ARCHITECTURE_KEY] = json.dumps(FIELDS | fields)
    else:
        entries[draw(st.sampled_from([ARCHITECTURE_KEY, NORMS_KEY, "model"]))] = draw(values | values.map(json.dumps))


def changed_tensor(draw: st.DrawFn, header: dict[str, Any]) -> None:
    name = draw(st.sampled_from([name for name in header if name != "__metadata__"]))
    entry = header.pop(name)
    kind = draw(st.sampled_from(["dtype", "shape", "data_offsets", "name", "gone"]))
    if kind == "name":
        header[draw(st.text(max_size=5))] = entry
    elif kind != "gone":
        header[name] = entry | {kind: draw(values)}


def changed_bytes(draw: st.DrawFn, whole: bytes) -> bytes:
    at = draw(st.integers(0, len(whole)))
    return whole[:at] + draw(st.binary(max_size=8)) + whole[at + 8 :] if draw(st.booleans()) else whole[:at]


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file with something of its metadata, of what it says of a tensor, or of its bytes changed."""
    header, data = header_of(whole)
    kinds = draw(st.lists(st.sampled_from([changed_metadata, changed_tensor, None]), min_size=1, max_size=3))
    for change in kinds:
        if change and "__metadata__" in header and len(header) > 1:
            change(draw, header)
    whole = with_header(header, data)
    return changed_bytes(draw, whole) if None in kinds else whole


MODEL = save(seeded(ARCH), metadata=metadata(ARCH, **{NORMS_KEY: "[1]"}))
STYLE = save({"mean": torch.zeros(1, 3, 1, 1), "std": torch.ones(1, 3, 1, 1)}, metadata={"model": "0123"})


@pytest.fixture(scope="module")
def anywhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile") / "any.safetensors"


def outcome(read: Callable[[Path], object], path: Path) -> object:
    """What was read, or None if the file was refused as it should be."""
    size = path.stat().st_size

    def within(make: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*arguments: Any) -> Any:
            arch = arguments[0] if isinstance(arguments[0], Architecture) else Architecture(*arguments)
            shapes = {k: v for k, v in arch.shapes.items() if make is StyleTransfer or k.startswith("encoder.")}
            assert 2 * sum(math.prod(shape) for shape in shapes.values()) <= size, "a model larger than its file"
            return make(*arguments)

        return checked

    makers = {"StyleTransfer": within(StyleTransfer), "Encoder": within(Encoder)}
    with mock.patch.multiple(pretrained, **makers):  # type: ignore[arg-type]
        try:
            return read(path)
        except (ValueError, OSError) as error:
            said = str(error)
            assert said.startswith(str(path))
            assert said.isprintable()
            assert len(said) < 1000
            return None


@given(data=st.data())
@pytest.mark.parametrize("read", [load_model, load_encoder, needs_encoder])
def test_any_changed_file_is_a_model_or_is_refused(anywhere: Path, read: Callable[[Path], object], data: st.DataObject) -> None:
    anywhere.write_bytes(data.draw(mutated(MODEL)))
    got = outcome(read, anywhere)
    if isinstance(got, (StyleTransfer, Encoder)):
        assert all(value.isfinite().all() and value.dtype == torch.float32 for value in got.state_dict().values())


@given(data=st.data())
def test_any_changed_style_is_a_style_or_is_refused(anywhere: Path, data: st.DataObject) -> None:
    anywhere.write_bytes(data.draw(mutated(STYLE)))
    got = outcome(ChannelStats.load, anywhere)
    if isinstance(got, ChannelStats):
        assert got.mean.is_floating_point()
        assert got.mean.isfinite().all()
        assert got.std.isfinite().all()
        assert isinstance(got.made_by, str)


@given(data=st.binary(max_size=300) | st.binary(max_size=300).map(lambda text: struct.pack("<Q", len(text)) + text))
def test_any_bytes_are_refused(anywhere: Path, data: bytes) -> None:
    anywhere.write_bytes(data)
    for read in (load_model, load_encoder, ChannelStats.load):
        assert outcome(read, anywhere) is None
