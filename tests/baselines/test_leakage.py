"""What a sweep trains on and what it scores are told apart before anything is run."""

import copy
import json
from pathlib import Path

import pytest
from made_up_herd import ARGUMENTS, CATEGORIES, dense_submission, herd, small_detector

from wildbench import plugins
from wildbench.compression.recipes import Recipe, parse_recipe
from wildbench.compression.subject import Subject, Workshop
from wildbench.datasets.coco import Dataset
from wildbench.detectors.zoo import _zoo
from wildbench.errors import DatasetError, RecipeError, WildbenchError
from wildbench.submissions.contract._manifest import parse_manifest
from wildbench.sweeps.grid import load_sweep
from wildbench.sweeps.leakage import check_apart
from wildbench.sweeps.points import Bench
from wildbench.sweeps.run import run_sweep


class Asked(Exception):
    """A step asked for data."""


def ask() -> Dataset:
    raise Asked


def recipe(method: str, **settings: object) -> Recipe:
    return parse_recipe({"summary": "one step", "steps": [{"method": method, **settings}]}, "one.toml", "one")


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        *((method, {}) for method in plugins.methods.names()),
        ("filters", {"importance": "taylor"}),
        ("quantize", {"correct": False}),
    ],
)
def test_a_recipe_sees_data_where_its_step_asks_for_them(method: str, settings: dict[str, object]) -> None:
    model = small_detector()
    detector = {"name": _zoo.SMALL, "arguments": ARGUMENTS}
    manifest = parse_manifest({"name": "dense", "detector": detector, "categories": CATEGORIES}, "dense.pt")
    one = recipe(method, **settings)
    asked = False
    try:
        one.steps[0].apply(Subject(copy.deepcopy(model), manifest), Workshop(model, ask))
    except Asked:
        asked = True
    assert one.needs_data == asked


def test_the_scored_labels_and_images_are_refused(tmp_path: Path) -> None:
    scored, other = herd(tmp_path / "a", images=2), herd(tmp_path / "b", images=2, seed=1)
    check_apart([recipe("quantize")], str(scored), "test", images=None, training=str(other))
    check_apart([recipe("weights")], str(scored), "test", images=None, training=str(scored))
    with pytest.raises(DatasetError, match=r"of which all labels are scored; name other data by --train-on"):
        check_apart([recipe("quantize")], str(scored), "test", images=None, training=str(scored))
    labels = json.loads(scored.read_text())
    labels["images"] = labels["images"][1:]
    labels["annotations"] = [box for box in labels["annotations"] if box["image_id"] != 1]
    part = scored.with_name("part.json")
    part.write_text(json.dumps(labels))
    with pytest.raises(DatasetError, match=r"of which 2\.png is scored"):
        check_apart([recipe("quantize")], str(scored), "test", images=None, training=str(part))


def test_no_sweep_calibrates_on_parksim_unasked_or_on_what_it_scores(tmp_path: Path) -> None:
    dense_submission(tmp_path / "dense.pt")
    scored = herd(tmp_path / "photos", images=2)
    (tmp_path / "grid.toml").write_text("summary = 'x'\ndense = ['dense.pt']\n[[grid]]\nrecipe = 'int8'\n")
    sweep, out = load_sweep(tmp_path / "grid.toml"), tmp_path / "out"
    with pytest.raises(RecipeError, match=r"int8\.toml: it would train or calibrate on parksim, and .* is scored"):
        run_sweep(sweep, Bench(out, str(scored)))
    with pytest.raises(WildbenchError, match="all labels are scored"):
        run_sweep(sweep, Bench(out, str(scored), training=str(scored)))
    assert not out.exists()
