"""Two detectors on photographs without labels."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusals import refused
from small_networks import beside, constant_detector

from wildbench.datasets.predictions import Detections
from wildbench.pairs.agreement import Agreement, agree, pair

A = ([[0, 0, 20, 20], [30, 0, 50, 20], [0, 30, 20, 50], [60, 0, 80, 20]], [1, 1, 2, 2], [0.9, 0.8, 0.7, 0.6])
B = ([[0, 0, 20, 20], [32, 0, 52, 20], [0, 30, 20, 50], [40, 40, 60, 60]], [1, 1, 2, 2], [0.95, 0.7, 0.1, 0.5])
"""The second box has moved by a tenth, the third is faint in B; A's fourth is lost and B's is gained."""


def detector(folder: Path, name: str, boxes: list[list[int]], labels: list[int], scores: list[float]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.onnx"
    return constant_detector(path, np.float32(boxes), np.array(labels), np.float32(scores))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures of three cameras, and one that cannot be decoded."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(6):
        (camera := folder / f"cam{number % 3}").mkdir(exist_ok=True)
        Image.new("RGB", (100, 80), (number, 90, 40)).save(camera / f"{number}.jpg")
    (folder / "cam0" / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def found(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Agreement:
    folder = tmp_path_factory.mktemp("pair")
    a, b = detector(folder, "dense", *A), detector(folder, "int8", *B)
    return agree(a, b, images=pictures, out=folder / "page.html")


def test_what_is_lost_gained_moved_and_faint_is_told_apart(found: Agreement) -> None:
    assert (found.a.name, found.b.name) == ("dense", "int8")
    assert found.images == 6
    assert found.skipped == ["cam0/broken.jpg"]
    assert found.whole.model_dump() == {
        "a": 24,
        "b": 18,
        "matched": 12,
        "moved": 6,
        "lost": 12,
        "lost_by_score": 6,
        "gained": 6,
        "gained_by_score": 0,
    }
    assert found.per_category["zebra"].lost == 0
    assert found.per_category["lion"].matched == 0


def test_its_figures_are_those_of_a_count_by_hand(found: Agreement) -> None:
    assert found.agreement.value == pytest.approx(2 * 12 / (24 + 18))
    assert found.overlap.value == pytest.approx((1 + 18 / 22) / 2)
    assert found.score_shift.value == pytest.approx((0.05 - 0.1) / 2, abs=1e-6)
    assert found.equal_threshold.value == pytest.approx(0.1)
    assert found.agreement_at_equal.value == pytest.approx(2 * 18 / (24 + 24))
    assert (found.drawn, found.groups) == ("locations", 3)
    for figure in (found.agreement, found.overlap, found.score_shift, found.equal_threshold):
        assert figure.interval is not None


def test_the_page_shows_every_image_in_which_they_differ(found: Agreement, pictures: Path, tmp_path: Path) -> None:
    assert len(found.worst) == 6
    assert found.worst[0].weight == pytest.approx(0.7 + 0.6 + 0.5)
    a = detector(tmp_path, "one", *A)
    again = agree(a, a, images=pictures, limit=2, out=tmp_path / "same.html")
    assert again.agreement.value == 1
    assert again.worst == []
    assert again.whole.lost == again.whole.gained == 0
    assert "<img" not in (tmp_path / "same.html").read_text()
    kept = json.loads((tmp_path / "same.json").read_text())
    assert Agreement.model_validate(kept) == again


def test_the_written_page_needs_no_other_file(pictures: Path, tmp_path: Path) -> None:
    a, b = detector(tmp_path, "dense", *A), detector(tmp_path, "int8", *B)
    agree(a, b, images=pictures, limit=4, out=tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 3
    assert "http" not in page.replace("http-equiv", "")


def test_a_file_in_two_runtimes_is_two_artifacts(pictures: Path, tmp_path: Path) -> None:
    a = detector(tmp_path, "one", *A)
    other = tmp_path / "runtime.py"
    boxes, labels, scores = A
    code = f"return {boxes}, {labels}, {[round(score / 2, 3) for score in scores]}"
    other.write_text(f'CATEGORIES = ["zebra", "lion"]\ndef load(path): ...\ndef predict(image): {code}\n')
    found = agree(a, a, images=pictures, adapter_b=other, threshold=0.5)
    assert (found.a.format, found.b.format) == ("onnx", "adapter")
    assert (found.whole.a, found.whole.b, found.whole.lost_by_score) == (24, 0, 24)
    assert found.equal_threshold.value == pytest.approx(0.3)
    assert found.agreement_at_equal.value == 1


def test_mistakes_are_told_by_their_codes(pictures: Path, tmp_path: Path) -> None:
    a, b = detector(tmp_path, "a", *A), detector(tmp_path, "b", *B)
    beside(b, categories=["okapi", "bongo"])
    with refused("submission/no-common-category", "okapi"):
        agree(a, b, images=pictures)
    with refused("dataset/no-images"):
        (tmp_path / "none").mkdir()
        agree(a, a, images=tmp_path / "none")
    with refused("dataset/no-image-folder"):
        agree(a, a)


def test_most_pairs_are_made_before_the_best() -> None:
    mine = Detections([1, 1], [1, 1], [[0, 0, 10, 10], [0, 0, 10, 14]], [0.9, 0.8])
    theirs = Detections([1, 1], [1, 1], [[0, 0, 10, 13], [0, 0, 10, 22]], [0.9, 0.8])
    pairs = pair(mine, theirs)
    assert dict(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)) == {0: 0, 1: 1}
