from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wildbench.errors import DatasetError
from wildbench.parksim.scene_sheet import write_sheet
from wildbench.resources import bundled


@pytest.mark.slow  # numba compiles the renderer
def test_the_sheet_of_the_thirteen_animals_is_the_one_in_the_documents(tmp_path: Path) -> None:
    write_sheet("animals", tmp_path / "sheet.jpg")
    committed = bundled("docs/pictures/parksim-animals.jpg")
    if not committed.is_file():
        pytest.skip("an installed package has no documents")
    ours, theirs = (np.asarray(Image.open(path), dtype=np.float64) for path in (tmp_path / "sheet.jpg", committed))
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).mean() < 2


def test_an_unknown_sheet_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no sheet 'plants'; name one of: animals, scenes"):
        write_sheet("plants", tmp_path / "sheet.jpg")
