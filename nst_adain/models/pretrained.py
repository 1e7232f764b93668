"""Finds the weights that ship, and reads and writes files of weights.

A model is one .safetensors file: tensors "encoder.conv1_1.weight" ... "decoder.conv1_1.bias", and metadata that holds the
architecture and how it was made. A decoder for the full-width VGG-19 has only "decoder." tensors; the user then supplies
the encoder as a separate file, "conv1_1.weight" ... "conv4_1.bias". Tensors of the bold end, such as
"bold.decoder.conv1_1.weight", stand beside those from which they were trained on.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from nst_adain.errors import UsageError, one_line
from nst_adain.files import write_atomic
from nst_adain.models.architecture import Architecture
from nst_adain.models.hub import download, is_repository
from nst_adain.models.networks import Encoder, StyleTransfer
from nst_adain.tensors import check_finite, open_tensors, read_tensors

__all__ = [
    "ARCHITECTURE_KEY",
    "BOLD",
    "DEFAULT_MODEL",
    "ENCODER_HELP",
    "ENCODER_VARIABLE",
    "NORMS_KEY",
    "available_models",
    "compare",
    "compare_norms",
    "encoder_norms",
    "find_weights",
    "has_bold_end",
    "load_encoder",
    "load_model",
    "needs_encoder",
    "read_architecture",
    "read_entry",
    "read_weights",
    "save_weights",
    "weights_folder",
]

_Entry = TypeVar("_Entry")

BOLD = "bold."  # begins the names of the bold end's tensors, and of their metadata
ARCHITECTURE_KEY = "nst_adain.architecture"  # in the metadata of this package's weights only
NORMS_KEY = "nst_adain.encoder_norms"  # in that of a decoder without an encoder
ENCODER_VARIABLE = "NST_ADAIN_VGG19"
ENCODER_HELP = (
    "Get vgg_normalised.pth from the releases of github.com/naoto0804/pytorch-AdaIN, run "
    f"`nst-adain convert FILE -o vgg19.safetensors`, and name the result by --encoder or by {ENCODER_VARIABLE}"
)


def weights_folder() -> Path:
    """Find the folder of weights: in the package (installed from a wheel) or beside it (checkout, editable install).

    Raises:
        FileNotFoundError: if they are in neither place.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "weights", package.parent / "weights"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"{package / 'weights'}: expected the weights that ship with nst_adain, found no such folder")


DEFAULT_MODEL = "base"  # "slim" is the fast one


def available_models() -> list[str]:
    """List the names that `load_model` knows."""
    return sorted(path.stem for path in weights_folder().glob("*.safetensors"))


def find_weights(name: str | os.PathLike[str]) -> Path:
    """Return the file of a model: one of `available_models()`, of the Hugging Face Hub (`hub.download`), or any, even missing.

    Raises:
        UsageError: if no model of this name ships.
    """
    path = download(str(name)) if is_repository(name) else Path(name)
    if path.suffix != ".safetensors":
        path, known = weights_folder() / f"{name}.safetensors", available_models()
        if not path.is_file():
            raise UsageError(f"model: expected one of {known}, a .safetensors file or owner/name, got {str(name)!r}")
    return path


def load_model(name: str | os.PathLike[str], *, encoder: str | os.PathLike[str] | None = None) -> StyleTransfer:
    """Build a model and load its weights.

    Args:
        name: one of `available_models()`, the path of a .safetensors file, or owner/name or owner/name@revision on the Hub.
        encoder: the full-width encoder's file, if the model's file has none; default: $NST_ADAIN_VGG19.

    Raises:
        FileNotFoundError: if the weights do not exist, or they need an encoder and none is given.
        ValueError: if a file does not hold what it should, or no model of this name ships, or it needs no `encoder`.
    """
    path = find_weights(name)
    every, metadata = read_weights(path)
    bold = _part(BOLD[:-1], every)
    tensors = {name: tensor for name, tensor in every.items() if not name.startswith(BOLD)}
    arch = read_architecture(path, metadata)
    changing = {name: shape for name, shape in arch.shapes.items() if name in bold and not name.startswith("encoder.")}
    if difference := compare(bold, changing):
        raise ValueError(f"{path}: expected a bold end of the model's decoder and modulator: {difference}")
    if _is_decoder_alone(tensors):
        encoder = encoder or os.environ.get(ENCODER_VARIABLE)
        if not encoder:
            raise FileNotFoundError(f"{path}: is a decoder alone and needs the full-width VGG-19 encoder. {ENCODER_HELP}")
        given = load_encoder(encoder)
        theirs = given.state_dict()
        if difference := compare(theirs, _part("encoder", arch.shapes)) or compare_norms(path, given, metadata):
            raise ValueError(f"{encoder}: expected the encoder that {path} was trained with: {difference}")
        tensors |= {f"encoder.{k}": v for k, v in theirs.items()}
    elif encoder:
        raise UsageError(f"encoder: expected none for {path}, which has its own, got {os.fspath(encoder)!r}")
    if difference := compare(tensors, arch.shapes):
        raise ValueError(f"{path}: expected the tensors of its architecture: {difference}")
    model = StyleTransfer(arch).float()  # whatever torch's default dtype is
    model.load_state_dict(tensors)
    model.bold = bold
    return model


def needs_encoder(name: str | os.PathLike[str]) -> bool:
    """Whether a model, named as for `load_model`, has no encoder. Raises what `load_model` raises."""
    with open_tensors(find_weights(name), "weights") as file:
        return _is_decoder_alone(file.keys())


def has_bold_end(name: str | os.PathLike[str]) -> bool:
    """Whether a model, named as for `load_model`, can be rendered at a boldness above 0. Raises what `load_model` raises."""
    with open_tensors(find_weights(name), "weights") as file:
        return any(name.startswith(BOLD) for name in list(file.keys()))


def _is_decoder_alone(names: Iterable[str]) -> bool:
    return not any(name.startswith("encoder.") for name in names)


def load_encoder(path: str | os.PathLike[str]) -> Encoder:
    """Load an encoder on its own: the full-width VGG-19, or the encoder in a model's file.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if the file holds no encoder.
    """
    tensors, metadata = read_weights(path)
    arch = Architecture("vgg19")
    if ARCHITECTURE_KEY in metadata:
        arch, tensors = read_architecture(path, metadata), _part("encoder", tensors)
    if difference := compare(tensors, _part("encoder", arch.shapes)):
        raise ValueError(f"{path}: expected an encoder, of VGG-19 or of nst_adain: {difference}. {ENCODER_HELP}")
    encoder = Encoder(arch.topology, arch.width).float()
    encoder.load_state_dict(tensors)
    return encoder


def _part(part: str, entries: Mapping[str, _Entry]) -> dict[str, _Entry]:
    """Select the entries of one part of a model, such as "encoder", and strip its prefix from their names."""
    return {key.removeprefix(f"{part}."): entry for key, entry in entries.items() if key.startswith(f"{part}.")}


def encoder_norms(encoder: Encoder) -> dict[str, str]:
    """Return each layer's weight norm as a metadata entry: a decoder without an encoder recognises its encoder by them."""
    norms = [encoder.get_parameter(f"{name}.weight").norm().item() for name in encoder.names]
    return {NORMS_KEY: json.dumps([float(f"{norm:.4g}") for norm in norms])}


def compare_norms(path: str | os.PathLike[str], encoder: Encoder, metadata: Mapping[str, str]) -> str | None:
    """Say how an encoder differs from the one a decoder was trained with, or return None; tolerates copies with fewer bits.

    Args:
        path: the decoder's file, for errors.
        encoder: the encoder.
        metadata: the decoder's metadata.

    Raises:
        ValueError: if the metadata holds no valid norms for such an encoder.
    """
    if NORMS_KEY not in metadata:
        return None
    found, expected = read_entry(path, encoder_norms(encoder), NORMS_KEY), read_entry(path, metadata, NORMS_KEY)
    if not isinstance(expected, list) or len(expected) != len(found) or not all(map(_is_norm, expected)):
        raise ValueError(f"{path}: expected the norms of {len(found)} layers as {NORMS_KEY}, found {reprlib.repr(expected)}")
    for name, a, b in zip(encoder.names, found, expected):
        if not math.isclose(a, b, rel_tol=0.05):
            return f"its {name} has weights of the norm {a:g}, not {b:g}: it is another network"
    return None


def _is_norm(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e38  # type: ignore[operator]  # refuses bools, and what no float holds


def compare(found: Mapping[str, Tensor], expected: Mapping[str, Sequence[int]]) -> str | None:
    """Say where tensors first differ from names and shapes, such as `Architecture.shapes`, or return None."""
    for key, shape in expected.items():
        if key not in found:
            return f"{key} is missing"
        if tuple(found[key].shape) != tuple(shape):
            return f"{key} has the shape {tuple(found[key].shape)}, not {tuple(shape)}"
    more = [key for key in found if key not in expected]
    return f"{one_line(more[0])} is unknown" if more else None


def save_weights(path: str | os.PathLike[str], arch: Architecture, tensors: Mapping[str, Tensor], **metadata: str) -> None:
    """Write weights and their metadata to a .safetensors file, whole or not at all.

    Args:
        path: the file.
        arch: the architecture that the weights are for.
        tensors: entries of `StyleTransfer.state_dict()`: all of them, or only the encoder's or the decoder's.
        metadata: further entries, such as recipe, steps, scores.

    Raises:
        ValueError: if a weight is not finite: the file could not be read again.
    """
    from safetensors.torch import save

    entries = {"format": "pt", ARCHITECTURE_KEY: json.dumps(dataclasses.asdict(arch)), **metadata}
    check_finite(path, tensors, "weights")
    write_atomic(path, save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata=entries))


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors of a .safetensors file as float32, and its metadata.

    Raises:
        OSError: if the file does not exist (FileNotFoundError) or must not be read.
        ValueError: if it is not a .safetensors file, or its weights are not finite floating point.
    """
    tensors, metadata = read_tensors(path, "weights")
    return {name: tensor.float() for name, tensor in tensors.items()}, metadata


def read_entry(path: str | os.PathLike[str], metadata: Mapping[str, str], key: str) -> Any:
    """Read an entry of the metadata that is JSON, such as the recipe.

    Raises:
        ValueError: if there is no such entry, or it is not JSON.
    """
    if key not in metadata:
        raise ValueError(f"{path}: expected weights of nst_adain with their {_named(key)}, found none")
    try:
        return json.loads(metadata[key])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON as {_named(key)}, found something else ({one_line(error)})") from error


def _named(key: str) -> str:
    return key.removeprefix("nst_adain.").replace("_", " ")


def read_architecture(path: str | os.PathLike[str], metadata: Mapping[str, str]) -> Architecture:
    """Read the architecture that `save_weights` wrote into `metadata`.

    Raises:
        ValueError: if there is none, or it cannot be built.
    """
    fields = read_entry(path, metadata, ARCHITECTURE_KEY)
    try:
        if not isinstance(fields["taps"], list):
            raise TypeError(f"taps: expected a list, got {fields['taps']!r}")
        return Architecture(fields["topology"], fields["width"], tuple(fields["taps"]), fields.get("modulation", 0))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{path}: expected an architecture that can be built, found another ({one_line(why)})") from error
