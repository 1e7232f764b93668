"""Files of weights: finding those that ship, reading and writing.

A model is one .safetensors file: tensors "encoder.conv1_1.weight" ... "decoder.conv1_1.bias", and metadata with the
architecture and how it was made. A decoder for the full-width VGG-19 has only "decoder." tensors; the encoder is then a
file of its own, "conv1_1.weight" ... "conv4_1.bias", that the user brings.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from nst_adain.architecture import Architecture
from nst_adain.files import write_atomic
from nst_adain.models import Encoder, StyleTransfer
from nst_adain.usage import UsageError

__all__ = [
    "ENCODER_VARIABLE",
    "available_models",
    "check_file",
    "compare",
    "compare_norms",
    "encoder_norms",
    "find_weights",
    "load_encoder",
    "load_model",
    "needs_encoder",
    "read_architecture",
    "read_weights",
    "save_weights",
    "weights_folder",
]

ARCHITECTURE_KEY = "nst_adain.architecture"  # in the metadata of our weights, and of no other file
NORMS_KEY = "nst_adain.encoder_norms"  # likewise, of a decoder alone
ENCODER_VARIABLE = "NST_ADAIN_VGG19"
ENCODER_HELP = (
    "Get vgg_normalised.pth from the releases of github.com/naoto0804/pytorch-AdaIN, run "
    f"`nst-adain convert FILE -o vgg19.safetensors`, and name the result by --encoder or by {ENCODER_VARIABLE}"
)


def weights_folder() -> Path:
    """Where the weights are: in the package (installed from a wheel) or beside it (checkout, editable install).

    Raises:
        FileNotFoundError: if they are in neither place.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "weights", package.parent / "weights"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"{package / 'weights'}: expected the weights that ship with nst_adain, found no such folder")


def available_models() -> list[str]:
    """The names that `load_model` knows."""
    return sorted(path.stem for path in weights_folder().glob("*.safetensors"))


def find_weights(name: str | os.PathLike[str]) -> Path:
    """The file of a model: one of `available_models()`, or any .safetensors file, which need not exist.

    Raises:
        UsageError: if no model of this name ships.
    """
    path = Path(name)
    if path.suffix != ".safetensors":
        path = weights_folder() / f"{name}.safetensors"
        if not path.is_file():
            raise UsageError(f"model: expected one of {available_models()} or a .safetensors file, got {str(name)!r}")
    return path


def load_model(name: str | os.PathLike[str], *, encoder: str | os.PathLike[str] | None = None) -> StyleTransfer:
    """Build a model and fill it.

    Args:
        name: one of `available_models()`, or the path of a .safetensors file.
        encoder: the full-width encoder's file, where the model's file has none; default: $NST_ADAIN_VGG19.

    Raises:
        FileNotFoundError: if there are no such weights, or an encoder is needed and there is none.
        ValueError: if a file does not hold what it should, or no model of this name ships, or it needs no encoder.
    """
    path = find_weights(name)
    tensors, metadata = read_weights(path)
    arch = read_architecture(path, metadata)
    model = StyleTransfer(arch).float()  # whatever torch's default is
    if _is_decoder_alone(tensors):
        encoder = encoder or os.environ.get(ENCODER_VARIABLE)
        if not encoder:
            raise FileNotFoundError(f"{path}: is a decoder alone and needs the full-width VGG-19 encoder. {ENCODER_HELP}")
        given = load_encoder(encoder)
        theirs = given.state_dict()
        if difference := compare(theirs, model.encoder.state_dict()) or compare_norms(given, metadata):
            raise ValueError(f"{encoder}: expected the encoder that {path} was trained with: {difference}")
        tensors |= {f"encoder.{k}": v for k, v in theirs.items()}
    elif encoder:
        raise UsageError(f"encoder: expected none for {path}, which has its own, got {os.fspath(encoder)!r}")
    if difference := compare(tensors, model.state_dict()):
        raise ValueError(f"{path}: expected the tensors of its architecture: {difference}")
    model.load_state_dict(tensors)
    return model


def needs_encoder(name: str | os.PathLike[str]) -> bool:
    """Whether a model, named as for `load_model`, is a decoder alone. Raises: as `load_model`."""
    with _opened(find_weights(name)) as file:
        return _is_decoder_alone(file.keys())


def _is_decoder_alone(names: Iterable[str]) -> bool:
    return not any(name.startswith("encoder.") for name in names)


def load_encoder(path: str | os.PathLike[str]) -> Encoder:
    """An encoder on its own: the full-width VGG-19, or that of a model's file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no encoder.
    """
    tensors, metadata = read_weights(path)
    encoder = Encoder("vgg19", 1.0)
    if ARCHITECTURE_KEY in metadata:
        arch = read_architecture(path, metadata)
        encoder = Encoder(arch.topology, arch.width)
        tensors = {k.removeprefix("encoder."): v for k, v in tensors.items() if k.startswith("encoder.")}
    if difference := compare(tensors, encoder.state_dict()):
        raise ValueError(f"{path}: expected an encoder, of VGG-19 or of nst_adain: {difference}. {ENCODER_HELP}")
    encoder.float().load_state_dict(tensors)
    return encoder


def encoder_norms(encoder: Encoder) -> dict[str, str]:
    """The norm of each layer's weights, as an entry of the metadata of a decoder alone: by these it knows its encoder."""
    norms = [encoder.get_parameter(f"{name}.weight").norm().item() for name in encoder.names]
    return {NORMS_KEY: json.dumps([float(f"{norm:.4g}") for norm in norms])}


def compare_norms(encoder: Encoder, metadata: Mapping[str, str]) -> str | None:
    """What tells an encoder from that of a decoder with this metadata, in words, or None: copies of fewer bits pass."""
    if NORMS_KEY not in metadata:
        return None
    wanted, found = (json.loads(entries[NORMS_KEY]) for entries in (metadata, encoder_norms(encoder)))
    for name, a, b in zip(encoder.names, found, wanted):
        if not math.isclose(a, b, rel_tol=0.05):
            return f"its {name} has weights of the norm {a:g}, not {b:g}: it is another network"
    return None


def compare(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    """The first difference between the names and shapes of tensors in words, or None."""
    for key in wanted:
        if key not in found:
            return f"{key} is missing"
        if found[key].shape != wanted[key].shape:
            return f"{key} has the shape {tuple(found[key].shape)}, not {tuple(wanted[key].shape)}"
    more = [key for key in found if key not in wanted]
    return f"{more[0]} is unknown" if more else None


def save_weights(path: str | os.PathLike[str], arch: Architecture, tensors: Mapping[str, Tensor], **metadata: str) -> None:
    """Write weights and what they are to a .safetensors file, whole or not at all.

    Args:
        path: the file.
        arch: what to build to use them.
        tensors: entries of `StyleTransfer.state_dict()`; all of them, or of the encoder or decoder alone.
        metadata: further entries, such as recipe, steps, scores.
    """
    from safetensors.torch import save

    entries = {"format": "pt", ARCHITECTURE_KEY: json.dumps(dataclasses.asdict(arch)), **metadata}
    write_atomic(path, save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata=entries))


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a .safetensors file, floating point as float32, and its metadata.

    Raises:
        OSError: if there is no such file (FileNotFoundError), or it may not be read.
        ValueError: if it is not a .safetensors file.
    """
    with _opened(path) as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, not a dict
        metadata = file.metadata() or {}
    return {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}, metadata


def check_file(path: str | os.PathLike[str], what: str) -> None:
    """Raise FileNotFoundError, which says what was expected, unless `path` is a file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected a file of {what}, found {'a folder' if Path(path).is_dir() else 'nothing'}")


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    check_file(path, "weights")
    try:
        # Opened here first: safe_open calls a file that may not be read missing.
        with open(path, "rb"), safe_open(os.fspath(path), framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"{path}: expected a .safetensors file, found something else ({error})") from error


def read_architecture(path: str | os.PathLike[str], metadata: Mapping[str, str]) -> Architecture:
    """The architecture that `save_weights` wrote into `metadata`.

    Raises:
        ValueError: if there is none, or it is not one that can be built.
    """
    try:
        fields = json.loads(metadata[ARCHITECTURE_KEY])
        return Architecture(fields["topology"], fields["width"], tuple(fields["taps"]), fields.get("modulation", 0))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected weights of nst_adain with their architecture, found none ({error})") from error
