from pathlib import Path

import numpy as np
from PIL import Image

from wildbench.categories import CATEGORIES
from wildbench.parksim.animal_sheet import CAST, PANEL_HEIGHT, ROWS, WIDTH, render_contact_sheet


def test_contact_sheet_shows_every_category_once(tmp_path: Path) -> None:
    assert sorted(name for names in ROWS for name in names) == sorted(CATEGORIES) == sorted(CAST)
    path = render_contact_sheet(tmp_path / "sheet.png")
    with Image.open(path) as image:
        assert image.size == (WIDTH, len(ROWS) * PANEL_HEIGHT)
        pixels = np.asarray(image).astype(float)
    for v, names in enumerate(ROWS):
        for u in range(len(names)):
            width = WIDTH // len(names)
            panel = pixels[v * PANEL_HEIGHT : (v + 1) * PANEL_HEIGHT, u * width : (u + 1) * width]
            # An animal brings contrast that the empty backdrop lacks.
            assert panel[80:].std() > 15.0
