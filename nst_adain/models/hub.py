"""Loads models from the Hugging Face Hub, and puts them there. Reads nothing but .safetensors files."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Protocol

from nst_adain.errors import UsageError, one_line
from nst_adain.tensors import open_tensors

__all__ = ["download", "is_repository", "model_card", "push_to_hub"]

_FILE = "model.safetensors"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")
_MISSING = "{}: models on the Hugging Face Hub need the extra: pip install '.[hub]' in a checkout"


def is_repository(name: str | os.PathLike[str]) -> bool:
    """Whether a model's name is that of a repository on the Hub, owner/name or owner/name@revision, and no file's.

    A file without its suffix counts as a file: what is meant by a path should not be asked of the network.
    """
    text = os.fspath(name)
    named = isinstance(name, str) and _REPOSITORY.fullmatch(text) is not None
    return (
        named and not text.endswith(".safetensors") and not any(Path(f"{text}{end}").exists() for end in ("", ".safetensors"))
    )


def download(name: str) -> Path:
    """Return the file of a model on the Hub, from the cache if it is there already.

    Without a network, and with HF_HUB_OFFLINE set, what is in the cache is used. HF_HOME is where it lies; HF_TOKEN, or a
    login, opens what is private.

    Args:
        name: owner/name, or owner/name@revision: a branch, a tag or a commit, which always gives the same file.

    Raises:
        FileNotFoundError: if there is no such repository, revision or file, or it cannot be reached and is not in the cache.
        ModuleNotFoundError: if the extra `hub` is not installed.
    """
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(_MISSING.format(name), name="huggingface_hub") from error
    repository, _, revision = name.partition("@")
    try:
        return Path(hf_hub_download(repository, _FILE, revision=revision or None, library_name="nst_adain"))
    except (OSError, ValueError, EntryNotFoundError) as error:
        where = "a model's name, a .safetensors file, or a repository on the Hugging Face Hub"
        raise FileNotFoundError(f"{name}: expected {where} with a file {_FILE} ({one_line(error)})") from error


class _Loaded(Protocol):
    """What a `Stylizer` has that `push_to_hub` needs."""

    name: str
    file: Path | None


def push_to_hub(self: _Loaded, repository: str, *, private: bool = False, license: str | None = None) -> str:
    """Put the model that `from_pretrained` loaded on the Hugging Face Hub, with a model card from its metadata.

    Args:
        repository: owner/name; made unless it exists. It gets model.safetensors, bit for bit, and README.md, in one commit.
        private: whether only you can see a new repository.
        license: for the card, such as "mit"; default: the one in the weights' metadata, if there is one.

    Returns:
        The address of the commit, whose revision `from_pretrained("owner/name@revision")` loads.

    Raises:
        UsageError: if the model was not loaded from a file, or `repository` is not owner/name.
        OSError: if the Hub refuses it or cannot be reached.
        ModuleNotFoundError: if the extra `hub` is not installed.
    """
    if self.file is None:
        raise UsageError("push_to_hub: expected a Stylizer that from_pretrained loaded, got one of a model in memory")
    if "@" in repository or not _REPOSITORY.fullmatch(repository):
        raise UsageError(f"repository: expected owner/name, got {repository!r}")
    try:
        from huggingface_hub import CommitOperationAdd, HfApi
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(_MISSING.format(repository), name="huggingface_hub") from error
    api = HfApi(library_name="nst_adain")
    api.create_repo(repository, private=private, exist_ok=True)
    card = model_card(self.file, repository, license)
    files = [CommitOperationAdd(_FILE, str(self.file)), CommitOperationAdd("README.md", card.encode())]
    return str(api.create_commit(repository, files, commit_message=f"Add {self.name}").commit_url)


def model_card(file: str | os.PathLike[str], repository: str, license: str | None = None) -> str:
    """Describe a file of weights by its metadata, as the README.md of a repository on the Hub.

    Raises:
        OSError, ValueError: if it is not a .safetensors file.
    """
    with open_tensors(file, "weights") as opened:
        metadata, names = opened.metadata() or {}, list(opened.keys())
    license = license or metadata.get("licence", "").lower()
    header = [f"license: {license}"] if license else []
    header += [
        "library_name: nst_adain",
        "pipeline_tag: image-to-image",
        "tags: [style-transfer, adain, arbitrary-style-transfer]",
    ]
    facts = {
        "Architecture": metadata.get("nst_adain.architecture", ""),
        "Encoder": "in the file" if any(name.startswith("encoder.") for name in names) else "VGG-19, in a file of its own",
        "Boldness": "from 0 to 1" if any(name.startswith("bold.") for name in names) else "0",
        "Steps of training": metadata.get("steps", ""),
        "Trained on": metadata.get("data", ""),
        "Scores": metadata.get("scores", ""),
        "Scores, boldest": metadata.get("bold.scores", ""),
    }
    rows = [f"| {name} | {_cell(value)} |" for name, value in facts.items() if value]
    return f"""---
{chr(10).join(header)}
---

# {repository.partition("/")[2]}

A model for arbitrary style transfer with adaptive instance normalisation
([Huang & Belongie 2017](https://arxiv.org/abs/1703.06868)), for the package nst_adain:

```python
from nst_adain import Stylizer

stylizer = Stylizer.from_pretrained("{repository}")
stylizer("photo.jpg", "painting.jpg").save("out.png")
```

| | |
| --- | --- |
{chr(10).join(rows)}
"""


def _cell(value: str) -> str:
    """Write an entry of the metadata, perhaps JSON, in one line of a table."""
    try:
        found = json.loads(value)
    except ValueError:
        found = value
    text = ", ".join(f"{key} {entry}" for key, entry in found.items()) if isinstance(found, dict) else str(found)
    return one_line(text).replace("|", "\\|")
