"""The pictures in the documents are what the renderer draws."""

import runpy

import numpy as np
import pytest
from PIL import Image

from wildbench.resources import bundled


@pytest.mark.slow
def test_the_thirteen_animals_in_the_documents_are_those_of_the_renderer() -> None:
    script = bundled("docs/pictures/make_parksim.py")
    if not script.is_file():
        pytest.skip("an installed package has no documents")
    drawn = np.asarray(runpy.run_path(str(script))["animals"](), dtype=np.float64)
    committed = np.asarray(Image.open(script.with_name("parksim-animals.jpg")), dtype=np.float64)
    assert drawn.shape == committed.shape
    assert np.abs(drawn - committed).mean() < 2
