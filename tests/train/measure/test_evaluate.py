"""Pairs of pictures rendered to be scored: which they are, and how their results are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import picture

from nst_adain.errors import UsageError
from train.config import TrainConfig
from train.measure.evaluate import evaluate, pairs_by_name


def test_evaluate_writes_what_score_reads(config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("\ufeff0__1\n2__0\n", encoding="utf-8")  # as some editors save it
    evaluate(config.content, config.style, tmp_path / "scored", pairs=tmp_path / "pairs.txt", device="cpu")
    assert sorted(p.name for p in (tmp_path / "scored").iterdir()) == ["0__1.png", "2__0.png"]
    for folder, name in ((config.content, "my photo__1"), (config.style, "a__b")):
        next(folder.glob("0.*")).rename(folder / f"{name}.png")
    (tmp_path / "pairs.txt").write_text("my photo__1__a__b\n")
    evaluate(config.content, config.style, tmp_path / "named", pairs=tmp_path / "pairs.txt", device="cpu")
    assert [p.name for p in (tmp_path / "named").iterdir()] == ["my photo__1__a__b.png"]
    (tmp_path / "pairs.txt").write_text("0__9\n")
    with pytest.raises(ValueError, match="found '0__9'"):
        evaluate(config.content, config.style, tmp_path / "scored", pairs=tmp_path / "pairs.txt", device="cpu")
    (tmp_path / "pairs.txt").write_text("2__2\n")
    picture().save(tmp_path / "scored" / "2__1.png")
    with pytest.raises(ValueError, match=r"2__1\.png: a result of another call, which `score` would count among these"):
        evaluate(config.content, config.style, tmp_path / "scored", pairs=tmp_path / "pairs.txt", device="cpu")
    for wrong, message in ((b"\n", "expected at least one pair, found none"), (b"\xff", "expected lines of text")):
        (tmp_path / "pairs.txt").write_bytes(wrong)
        with pytest.raises(ValueError, match=rf"pairs\.txt: {message}"):
            evaluate(config.content, config.style, tmp_path / "none", pairs=tmp_path / "pairs.txt", device="cpu")
    assert not (tmp_path / "none").exists()


def test_names_that_two_pairs_would_have_are_said() -> None:
    assert len(pairs_by_name(["a", "b"], ["c__d", "e"])) == 4
    with pytest.raises(ValueError, match="a__b__c: would be the result of a in the style b__c and of a__b in the style c"):
        pairs_by_name(["a", "a__b"], ["c", "b__c"])


def test_results_do_not_go_among_the_photographs(config: TrainConfig) -> None:
    with pytest.raises(UsageError, match="out: expected a folder outside of content"):
        evaluate(config.content, config.style, config.content, device="cpu")
