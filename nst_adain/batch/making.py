"""Makes the pictures of a batch, of which several are read, computed and written at the same time."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from PIL import Image

from nst_adain.batch.cores import Cores, area, why
from nst_adain.batch.pairing import Job, split
from nst_adain.batch.rows import Row
from nst_adain.controls import LOOK_SIZE, Controls
from nst_adain.files import make_folder
from nst_adain.functional import ChannelStats
from nst_adain.images.io import load_image, save_image
from nst_adain.rendering.contents import EncodedContent
from nst_adain.stylizer import Stylizer

__all__ = ["Make", "Making", "make", "sha256_of"]


# Makes the results of some photographs, and hands the row of each to a function.
Make: TypeAlias = Callable[[Sequence[Job], Callable[[Row], None]], None]


class _Event(Protocol):
    def is_set(self) -> bool: ...


@dataclasses.dataclass(frozen=True)
class Making:
    """Says how photographs become results.

    Attributes:
        styles: encoded, by name.
        controls: of calling a stylizer, with `max_pixels`.
        size, quality, keep_metadata: as for `stylize_folder`.
        hashed: whether rows have a digest of the result.
    """

    styles: Mapping[Path, ChannelStats]
    controls: Controls
    size: int | None
    quality: int
    keep_metadata: bool
    hashed: bool = False

    def rows(self, stylizer: Stylizer, job: Job, cores: Cores) -> Iterator[Row]:
        """Make the results of a photograph, and yield a row for each as soon as it is in place."""
        began = time.perf_counter()
        try:
            content, waited = self._encode(stylizer, job.photo, cores)
        except Exception as error:
            words = why(error)
            for style, path in job.outputs:
                yield Row(job.key, job.photo, style, path, error=words, wrong=job.photo)
            return
        reading = (time.perf_counter() - began - waited) / len(job.outputs)
        for style, path in job.outputs:
            began = time.perf_counter()
            try:
                waited = self._write(stylizer, path, job.photo, content, self.styles[style], cores)
                digest = sha256_of(path) if self.hashed else None
                yield Row(job.key, job.photo, style, path, digest, reading + time.perf_counter() - began - waited)
            except Exception as error:
                number = error.errno if isinstance(error, OSError) else None
                yield Row(job.key, job.photo, style, path, error=why(error), wrong=path, errno=number)

    def _encode(self, stylizer: Stylizer, photo: Path, cores: Cores) -> tuple[EncodedContent[Image.Image], float]:
        limit, look_size = self.controls["max_pixels"], self.controls.get("look_size", LOOK_SIZE)
        picture = load_image(photo, max_pixels=limit)
        with cores.share(area(picture, self.size)) as waited:
            return stylizer.encode_content(picture, size=self.size, look_size=look_size, max_pixels=limit), waited

    def _write(
        self,
        stylizer: Stylizer,
        path: Path,
        photo: Path,
        content: EncodedContent[Image.Image],
        style: ChannelStats,
        cores: Cores,
    ) -> float:
        controls: Controls = {**self.controls}
        controls.pop("look_size", None)  # the content has it already
        with cores.share(math.prod(content.content.size)) as waited:
            result = stylizer(content, style, **controls)
        make_folder(path.parent)
        save_image(result, path, quality=self.quality, metadata_of=photo if self.keep_metadata else None)
        return waited


def make(
    stylizer: Stylizer, making: Making, jobs: Sequence[Job], finish: Callable[[Row], None], stopped: _Event | None = None
) -> None:
    """Make results, and call `finish` with each one's row, one at a time, in no order.

    Args:
        stylizer: the model.
        making: how.
        jobs: what.
        finish: receives the rows.
        stopped: once it is set, no other result is begun.
    """
    cores, lock = Cores(stylizer.device), threading.Lock()

    def ended() -> bool:
        return cores.stopped.is_set() or (stopped is not None and stopped.is_set())

    def work(job: Job) -> None:
        for row in () if ended() else making.rows(stylizer, job, cores):
            with lock:
                finish(row)
            if ended():
                return

    cores.work(work, list(split(jobs, cores.workers)))


def sha256_of(path: Path) -> str:
    """Return the digest of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
