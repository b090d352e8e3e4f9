from pathlib import Path

import cv2
import numpy as np

from wildbench.parksim.scene_sheet import contact_sheet


def test_sheet_has_a_scene_for_each_category_and_three_at_night(tmp_path: Path) -> None:
    picture = cv2.imread(str(contact_sheet(tmp_path / "sheet.jpg")))
    assert picture.shape == (4 * 384, 4 * 512, 3)
    tiles = [picture[y : y + 360, x : x + 512] for y in range(0, 1536, 384) for x in range(0, 2048, 512)]
    assert all(tile.std() > 15 for tile in tiles)
    coloured = [int((np.ptp(tile.astype(int), axis=2) > 60).sum()) for tile in tiles]
    assert min(coloured[:13]) > 10_000  # by day
    assert all(300 < count < 6_000 for count in coloured[13:])  # at night nothing but frames and names
