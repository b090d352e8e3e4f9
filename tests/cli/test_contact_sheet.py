"""What an import understood, in five lines and on a sheet."""

import json
from pathlib import Path

import numpy as np
from commands import Run
from made_up_parks import lay
from PIL import Image

from wildbench.datasets.coco import Dataset
from wildbench.datasets.transfer import contact_sheet


def herd(folder: Path, count: int) -> Dataset:
    images, boxes = [], []
    for number in range(1, count + 1):
        Image.new("RGB", (60, 40), (0, 0, 10 * number % 256)).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 60, "height": 40, "location": number % 3})
        if number % 2:
            box = {"bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 0}
            boxes.append({"id": number, "image_id": number, "category_id": 1, **box})
    coco = {"images": images, "categories": [{"id": 1, "name": "deer"}], "annotations": boxes}
    return Dataset("herd", None, coco, folder)


def test_pictures_with_boxes_come_first_and_their_boxes_are_where_they_are(tmp_path: Path) -> None:
    sheet = np.asarray(contact_sheet(herd(tmp_path, 5)))
    assert sheet.shape == (225, 1800, 3)
    first, fourth = sheet[:, :300], sheet[:, 900:1200]
    factor = (225 - 28) / 40
    edge = first[round(20 * factor), round(10 * factor) - 2 : round(10 * factor) + 3]
    assert edge[:, 0].max() > 200  # a bright frame on a dark picture
    assert fourth[: round(40 * factor), : round(60 * factor), :2].max() < 60  # no box, but the picture
    assert np.asarray(contact_sheet(herd(tmp_path, 60))).shape == (900, 1800, 3)


def test_an_import_says_what_it_understood_and_draws_it(run: Run, tmp_path: Path) -> None:
    lay(tmp_path / "set", {"labels.json": json.dumps(herd(tmp_path, 5).coco).encode()})
    for number in range(1, 6):
        (tmp_path / f"{number}.png").rename(tmp_path / "set" / f"{number}.png")
    result = run("data", "import", "set", "--out", "out", "--contact-sheet", "sheets/one.jpg")
    assert result.status == 0, result.stderr
    lines = dict(line.partition(": ")[::2] for line in result.stdout.splitlines()[:5])
    assert list(lines) == ["form", "images", "boxes", "parts", "repairs"]
    assert (lines["form"], lines["images"]) == ("coco", "5, of them without boxes 2")
    assert "3" in lines["boxes"]
    assert "deer" in lines["boxes"]
    assert "locations 3" in lines["parts"]
    assert Image.open(tmp_path / "sheets" / "one.jpg").size == (1800, 225)
