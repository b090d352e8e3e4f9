"""Contact sheet of the data set: for each category the scene that shows it best, its boxes drawn and named."""

from __future__ import annotations

import io
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wildbench.categories import CATEGORIES, SPLITS
from wildbench.datasets.coco import read_coco
from wildbench.errors import DatasetError
from wildbench.files import check_writable, write_atomically
from wildbench.parksim._composition import compose
from wildbench.parksim._planning import ImagePlan, plan
from wildbench.parksim.animal_sheet import render_contact_sheet
from wildbench.parksim.scenes import HEIGHT, WIDTH
from wildbench.resources import bundled

COLUMNS = 4

Annotation = dict[str, Any]

Picture = NDArray[np.uint8]


def contact_sheet(path: Path) -> Path:
    """Compose a grid of scenes with boxes, one chosen for each category and three at night, and write it as a JPEG.

    Args:
        path: The file to write; 2048 × 1536 pixels.

    Returns:
        The same path.
    """
    shown = _bundled_annotations()
    images = [one for one in plan() if one.number in shown]
    tiles = [_best(images, shown, name, night=False) for name in CATEGORIES]
    tiles += [_best(images, shown, name, night=True) for name in ("leopard", "elephant", "zebra")]
    rows = [np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
    _, encoded = cv2.imencode(".jpg", np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    write_atomically(path, encoded.tobytes())
    return path


def _bundled_annotations() -> dict[int, list[Annotation]]:
    """The annotations of each image that has any."""
    shown: dict[int, list[Annotation]] = defaultdict(list)
    for split in SPLITS:
        for annotation in read_coco(bundled(f"annotations/parksim/{split}.json")).annotations:
            shown[annotation["image_id"]].append(annotation)
    return dict(shown)


def _best(images: list[ImagePlan], shown: dict[int, list[Annotation]], name: str, *, night: bool) -> Picture:
    """The clearest of the pictures that hold this species and no other, with its boxes."""
    fitting = [
        one
        for one in images
        if {guest.individual.species for guest in one.guests} == {name} and (one.time_of_day == "night") == night
    ]
    best = max(fitting, key=lambda one: (one.weather == "clear") + sum(map(_clarity, shown[one.number])))
    picture = compose(best)[1]
    assert picture is not None
    for annotation in shown[best.number]:
        _draw(picture, annotation)
    return picture


def _clarity(annotation: Annotation) -> float:
    """High for a large, whole animal that nothing hides; a picture is worth the sum over its animals."""
    share = min(1.0, float(annotation["area"]) / (0.12 * WIDTH * HEIGHT))
    clarity: float = share * (1.0 - 2.0 * annotation["occlusion"]) * (1.0 - 6.0 * annotation["truncation"])
    return clarity


def _draw(picture: Picture, annotation: Annotation) -> None:
    x, y, width, height = annotation["bbox"]
    name = CATEGORIES[annotation["category_id"] - 1]
    cv2.rectangle(picture, (x, y), (x + width - 1, y + height - 1), (255, 214, 64), 1)
    row = max(11, y - 4)
    for colour, thick in (((20, 20, 20), 3), ((255, 214, 64), 1)):
        cv2.putText(picture, name, (x + 1, row), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thick, cv2.LINE_AA)


SHEETS = ("animals", "scenes")


def write_sheet(name: str, path: Path) -> None:
    """Render a sheet and write it as a JPEG.

    Args:
        name: "animals", the thirteen categories on neutral ground, or "scenes", a picture of each with its boxes.
        path: The file to write.

    Raises:
        DatasetError: No such sheet.
        OutputError: The file cannot be written.
    """
    if name not in SHEETS:
        raise DatasetError(f"no sheet {name!r}", remedy=f"name one of: {', '.join(SHEETS)}")
    check_writable(path)
    if name == "scenes":
        contact_sheet(path)
        return
    stream = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, Image.open(render_contact_sheet(Path(folder, "sheet.png"))) as sheet:
        sheet.save(stream, "JPEG", quality=90)
    write_atomically(path, stream.getvalue())
