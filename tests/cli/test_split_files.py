"""A split file is taken wherever a data set is, and its parts written out are the same parts."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import Run, runner
from made_up_photographs import save

from wildbench.curation.patch import Change, Patch
from wildbench.datasets.coco import read_coco
from wildbench.datasets.registry import load_dataset, load_training
from wildbench.datasets.splits import read_split

NAMES = {1: "lion", 2: "zebra"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    return runner(monkeypatch, capsys, tmp_path)


@pytest.fixture
def park(tmp_path: Path) -> Path:
    images, boxes, found = [], [], []
    for number in range(1, 13):
        name = f"cam{number % 6}/{number}.png"
        save(np.full((40, 60, 3), 20 * number, np.uint8), tmp_path / "images" / name)
        images.append({"id": number, "file_name": name, "width": 60, "height": 40, "location": number % 6})
        box = {"image_id": number, "category_id": 1 + number % 2, "bbox": [5, 5, 20, 20]}
        boxes.append({"id": number, "area": 400, "iscrowd": 0, **box})
        found.append({"score": 0.9, **box})
    categories = [{"id": number, "name": name} for number, name in NAMES.items()]
    path = tmp_path / "park.json"
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    (tmp_path / "found.json").write_text(json.dumps(found))
    return path


@pytest.fixture
def divided(run: Run, park: Path, tmp_path: Path) -> Path:
    result = run("data", "split", park, "-o", "s.json", "--share", "learn=2", "--share", "judge=1", "--no-duplicates")
    assert result.status == 0, result.stderr
    return tmp_path / "s.json"


def test_parts_are_counted_written_out_and_scored_alike(run: Run, park: Path, divided: Path, tmp_path: Path) -> None:
    split = read_split(divided)
    assert {part: len(ids) for part, ids in split.parts.items()} == {"learn": 8, "judge": 4}
    info = run("data", "info", park, "--split-file", divided)
    assert [word for word in ("learn", "judge") if word not in info.stdout] == []
    assert run("data", "export", park, "--split-file", divided, "--to", "coco", "-o", "parts").status == 0
    hashes = set()
    own = [one for one in json.loads((tmp_path / "found.json").read_text()) if one["image_id"] in split.parts["judge"]]
    (tmp_path / "own.json").write_text(json.dumps(own))
    part = [park, "--split-file", divided, "--split", "judge"]
    for number, source in enumerate((["found.json", *part], ["own.json", "parts/annotations/judge.json"])):
        card = tmp_path / f"{number}.score.json"
        result = run("score", source[0], "--dataset", *source[1:], "--out", card)
        assert result.status == 0, result.stderr
        record = json.loads(card.read_text())
        assert record["dataset"]["images"] == 4
        hashes.add(record["dataset"]["sha256"])
    assert len(hashes) == 1
    assert (
        sorted(image["id"] for image in read_coco(tmp_path / "parts/annotations/learn.json").images)
        == split.parts["learn"]
    )


def test_cards_of_a_part_are_compared(run: Run, park: Path, divided: Path, tmp_path: Path) -> None:
    part = ["--dataset", park, "--split-file", divided]
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_bytes((tmp_path / "found.json").read_bytes())
        assert run("score", f"{name}.json", *part, "--split", "judge", "--out", f"{name}.score.json").status == 0
    result = run("compare", "a.score.json", "b.score.json", *part)
    assert result.status == 0, result.stderr
    run("compare", "a.score.json", "b.score.json", "--dataset", park).refused("dataset/other-labels")


def test_a_label_patch_keeps_the_split(run: Run, park: Path, divided: Path, tmp_path: Path) -> None:
    data = read_coco(park)
    fields = {"image_id": 3, "file_name": "cam3/3.png", "author": "A", "reason": "seen"}
    change = Change(annotation_id=3, old={"category": "zebra"}, new={"category": "lion"}, **fields)
    patch = Patch(dataset="park", dataset_sha256=data.sha256, changes=[change])
    (tmp_path / "p.json").write_text(patch.model_dump_json())
    result = run("data", "patch", park, "p.json", "-o", "mended.json")
    assert result.status == 0, result.stderr
    part = next(part for part, ids in read_split(divided).parts.items() if 3 in ids)
    mended = load_dataset(tmp_path / "mended.json", split=part, split_file=divided, with_images=False)
    assert [box["category_id"] for box in mended.boxes(3)] == [1]
    assert [finding.code for finding in mended.warnings] == ["split-labels-changed"]


def test_nothing_is_trained_on_what_is_tested(run: Run, park: Path, divided: Path, tmp_path: Path) -> None:
    assert len(load_training(park, "learn", split_file=divided).images) == 8
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[detector]\nname = "fcos_efficientnet_lite0_fpn"\ninit = "random"\n[submission]\nauthors = ["A"]\n'
        'licence = "CC0-1.0"\n[schedule]\nepochs = 1\n[augmentation]\nheight = 64\nwidth = 64\n'
    )
    train = ["train", recipe, "-o", "out.pt", "--dataset", park, "--split-file", divided]
    run(*train, "--split", "judge").refused("judge", "dataset/tested-part")
    run(*train).refused("'train'", "dataset/no-such-part")
    run("train", recipe, "-o", "out.pt", "--dataset", "parksim", "--split", "test").refused("dataset/tested-part")
    assert not (tmp_path / "out.pt").exists()
