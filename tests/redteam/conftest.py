"""What attacks share; made in processes of their own, for a fork of this one must find no threads."""

import json
from pathlib import Path

import numpy as np
import pytest
from arena import forked
from gallery import paint
from made_up_herd import dense_submission, herd


@pytest.fixture(scope="session")
def park(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The labels of six small pictures of lions and zebras, which lie beside them; by a hand that is not quite still."""
    folder = tmp_path_factory.mktemp("park")
    assert forked(lambda: str(herd(folder))).kind == "ended"
    document, hand = json.loads((folder / "herd.json").read_text()), np.random.default_rng(3)
    for entry in document["annotations"]:
        x, y, width, height = entry["bbox"]
        left, top = (float(np.clip(side + hand.normal(0, 1), 0, 50)) for side in (x, y))
        right, low = (float(np.clip(side + hand.normal(0, 1), 2, 64)) for side in (x + width, y + height))
        entry["bbox"] = [round(side, 2) for side in (left, top, max(2, right - left), max(2, low - top))]
        entry["bbox"][2:] = [round(min(entry["bbox"][2], 64 - left), 2), round(min(entry["bbox"][3], 64 - top), 2)]
    (folder / "herd.json").write_text(json.dumps(document))
    return folder / "herd.json"


@pytest.fixture(scope="session")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An honest submission that sees what is in the park."""
    path = tmp_path_factory.mktemp("dense") / "dense.pt"
    assert forked(lambda: str(dense_submission(path))).kind == "ended"
    return path


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels of pictures of rectangles, which lie beside them."""
    folder = tmp_path_factory.mktemp("gallery")
    assert forked(lambda: paint(folder)).kind == "ended"
    return folder / "gallery.json"
