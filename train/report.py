"""What a run shows of itself: held-out losses, sample pictures and a plot of the losses."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image

from nst_adain.files import write_atomic
from nst_adain.images.io import save_image
from nst_adain.models.architecture import LAYERS
from nst_adain.models.networks import Encoder, StyleTransfer
from train.data import center_crop
from train.losses import content_loss, style_loss, style_targets

__all__ = ["SIZE", "LossLog", "Validation", "plot_losses", "read_losses"]

SIZE = 256  # of held-out pictures; the paper's training size


class Validation:
    """Losses and pictures of pairs that are never trained on: content i with style i."""

    def __init__(self, contents: Sequence[Image.Image], styles: Sequence[Image.Image], teacher: Encoder) -> None:
        pairs = list(zip(contents, styles))
        self.teacher = teacher
        self.content = [center_crop(c, SIZE) for c, _ in pairs]
        self.style = [center_crop(s, SIZE) for _, s in pairs]

    @torch.no_grad()
    def run(self, model: StyleTransfer, picture: Path) -> dict[str, float]:
        """Mean losses, style as a mean over the four layers, and a picture of the first six pairs."""
        device = next(model.parameters()).device
        totals = {"val_content": 0.0, "val_style": 0.0, "val_identity": 0.0}
        rows = []
        for content, style in zip(self.content, self.style):
            c, s = (x[None].to(device).float() / 255 for x in (content, style))
            output = model(c, s).clamp(0, 1)
            got, content_features, style_features = (self.teacher.features(x) for x in (output, c, s))
            wanted = style_targets(style_features, LAYERS, "moments")
            totals["val_content"] += float(content_loss(got["relu4_1"], content_features["relu4_1"]))
            totals["val_style"] += float(style_loss(style_targets(got, LAYERS, "moments"), wanted)) / len(LAYERS)
            totals["val_identity"] += float(F.mse_loss(model(c, c).clamp(0, 1), c))
            if len(rows) < 6:
                rows.append(torch.cat([c, s, output], dim=-1))
        grid = torch.cat([torch.cat(rows[i : i + 2], dim=-1) for i in range(0, len(rows) // 2 * 2, 2)] or rows, dim=-2)
        pixels = (grid[0].cpu().permute(1, 2, 0) * 255).round().byte().numpy()
        save_image(Image.fromarray(pixels), picture, quality=90)
        return {name: total / max(1, len(self.content)) for name, total in totals.items()}


class LossLog:
    """losses.csv: a row every few steps. Rows after the step that is resumed from are dropped."""

    COLUMNS = ("step", "loss", "content", "style", "identity", "palette", "grid", "tv", "relu1_1", "relu2_1", "relu3_1",
               "relu4_1", "gradient_norm", "images_per_s", "data_wait", "val_content", "val_style", "val_identity")  # fmt: skip

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        rows = read_losses(path) if path.exists() and step else []
        text = io.StringIO()
        writer = csv.DictWriter(text, self.COLUMNS)
        writer.writeheader()
        writer.writerows(row for row in rows if int(row["step"]) <= step)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.getvalue().encode())

    def write(self, step: int, row: dict[str, float]) -> None:
        """Append one row; a file closed after each row loses nothing when the run is killed."""
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.COLUMNS).writerow({"step": step} | {k: f"{v:.6g}" for k, v in row.items()})


def read_losses(log: Path) -> list[dict[str, str]]:
    """The rows of losses.csv. What stands after the last end of a line is part of a row, as a full disk leaves it."""
    lines = log.read_text().splitlines(keepends=True)
    return list(csv.DictReader(line for line in lines if line.endswith("\n")))


def plot_losses(log: Path, picture: Path) -> None:
    """Draw every column of losses.csv over the steps, on a logarithmic axis."""
    from matplotlib.figure import Figure

    rows = read_losses(log)
    names = [n for n in (rows[0] if rows else {}) if n not in ("step", "images_per_s", "data_wait")]
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss", yscale="log")
    for name in names:
        points = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
        if points:
            axes.plot(*zip(*points), marker="o" if name.startswith("val_") else None, label=name, linewidth=1)
    axes.legend(ncols=2, fontsize="small")
    axes.grid(alpha=0.3)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=120)
    write_atomic(picture, drawn.getbuffer())
