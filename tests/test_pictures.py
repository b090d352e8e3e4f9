"""Boxes are drawn where they are."""

from pathlib import Path

import numpy as np
from PIL import Image

from wildbench.pictures import colour, draw_boxes, save_jpeg, side_by_side


def test_a_box_is_drawn_along_its_own_edges() -> None:
    picture = np.asarray(draw_boxes(np.zeros((100, 120, 3), np.uint8), [((30, 40, 50, 20), "lion", (255, 0, 0))]))
    red = (picture == (255, 0, 0)).all(axis=2)
    assert red[50, 30]
    assert red[50, 80]
    assert red[60, 55]
    assert not red[50, 55]
    assert not red[70:].any()


def test_a_caption_adds_a_bar_below_and_touches_no_pixel() -> None:
    image = np.full((40, 60, 3), 200, np.uint8)
    picture = np.asarray(draw_boxes(image, [], caption="labels"))
    assert picture.shape[0] > 40
    assert (picture[:40] == image).all()


def test_thirteen_categories_get_thirteen_colours() -> None:
    assert len({colour(index) for index in range(1, 14)}) == 13


def test_panels_stand_side_by_side_in_a_jpeg(tmp_path: Path) -> None:
    sheet = side_by_side([Image.new("RGB", (10, 20)), Image.new("RGB", (30, 20))], gap=5)
    save_jpeg(sheet, tmp_path / "new" / "sheet.jpg")
    assert Image.open(tmp_path / "new" / "sheet.jpg").size == (45, 20)
