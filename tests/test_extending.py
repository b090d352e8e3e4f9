"""docs/extending.md: the package that it prints, installed and used."""

import importlib
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from wildbench import plugins
from wildbench.compression.recipes import parse_recipe
from wildbench.compression.subject import Subject, Workshop
from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_dataset
from wildbench.detectors import zoo
from wildbench.measures import all_measures, figure_of, measure_added
from wildbench.plugins import Registry
from wildbench.resources import bundled
from wildbench.scorecard import read_scorecard
from wildbench.submissions.contract import parse_manifest
from wildbench.submissions.formats import check_format

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```\w+\n# ([\w./]+)\n(.*?)^```", PAGE, re.M | re.S))
MOST_LINES = 25
"""Of one file, blank ones not counted."""
REGISTRIES = [registry for registry in vars(plugins).values() if isinstance(registry, Registry)]


def forget_what_is_installed() -> None:
    for registry in REGISTRIES:
        registry.__dict__.pop("_installed", None)


@pytest.fixture(scope="module", autouse=True)
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page's package, installed as pip would: its files, and its entry points in a `.dist-info`."""
    site = tmp_path_factory.mktemp("site")
    for name, text in FILES.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for folder in ("my_package", "my_package/savanna"):
        (site / folder / "__init__.py").touch()
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    groups = (
        "\n".join([f"[{group}]", *(f"{name} = {target}" for name, target in points.items())])
        for group, points in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text("\n".join(groups))
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    forget_what_is_installed()
    yield site
    sys.path.remove(str(site))
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    forget_what_is_installed()


def test_each_is_one_short_file_and_one_entry_point() -> None:
    code = {name: text for name, text in FILES.items() if name != "pyproject.toml"}
    lines = {name: len([line for line in text.splitlines() if line]) for name, text in code.items()}
    assert max(lines.values()) <= MOST_LINES, lines
    points = tomllib.loads(FILES["pyproject.toml"])["project"]["entry-points"]
    assert len(points) == len(code)
    for group, names in points.items():
        (registry,) = [one for one in REGISTRIES if one.group == group]
        assert set(names) <= set(registry.names())


def test_the_measure_adds_its_figure_to_a_record() -> None:
    card = read_scorecard(bundled("baselines/scorecards/reference.json"))
    evidence: Any = SimpleNamespace(card=card, scored=None, submission=None)
    added = measure_added(evidence)
    assert list(added) == ["energy"]
    assert card.compute is not None
    assert added["energy"].value == pytest.approx(4.6e-9 * (card.compute.macs.value or 0))
    assert [measure.key for measure in all_measures()][-1] == "energy"
    assert figure_of(card.model_copy(update={"measures": added}), "energy") == added["energy"]


def test_the_method_is_a_step_of_a_recipe() -> None:
    name, arguments = "ssdlite320_mobilenet_v3_large", {}
    model = zoo.build(name, 2, **arguments).eval()
    document = {"name": "dense", "detector": {"name": name}, "categories": ["zebra", "lion"]}
    subject = Subject(model, parse_manifest(document, "dense"))
    (step,) = parse_recipe({"summary": "clipped", "steps": [{"method": "clip", "at": 2.0}]}).steps
    assert not step.needs_data
    weight = next(parameter for parameter in model.parameters() if parameter.dim() == 4)
    deviation = float(weight.detach().std())
    step.apply(subject, Workshop(model, Dataset("none", None, {}, Path())))
    assert float(weight.detach().abs().max()) <= 2.0 * deviation + 1e-6
    assert subject.history == ["weights clipped at 2.0 standard deviations"]


def test_the_format_keeps_the_contract(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        manifest = {"name": "constant", "detector": {"name": "constant"}, "categories": ["zebra", "lion"]}
        path.write_text(json.dumps({"boxes": [[2, 2, 9, 9]], "manifest": manifest}))

    check_format(plugins.formats.get("constant"), write, tmp_path)


def test_the_detector_is_built_by_name() -> None:
    detector = zoo.build("fasterrcnn_mobilenet_v2", 2, min_size=64, max_size=96, box_score_thresh=0.0).eval()
    with torch.inference_mode():
        (found,) = detector([torch.rand(3, 64, 96)])
    assert len(found["boxes"]) > 0
    assert set(found["labels"].tolist()) <= {1, 2}


def test_the_data_set_is_loaded_by_name(package: Path) -> None:
    folder = package / "my_package" / "savanna"
    (folder / "images").mkdir()
    cv2.imwrite(str(folder / "images" / "1.jpg"), np.zeros((48, 64, 3), np.uint8))
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 8, 32, 16], "area": 512, "iscrowd": 0}
    coco = {
        "images": [{"id": 1, "file_name": "1.jpg", "width": 64, "height": 48}],
        "categories": [{"id": 1, "name": "zebra"}],
        "annotations": [box],
    }
    (folder / "test.json").write_text(json.dumps(coco))
    data = load_dataset("savanna", split="test")
    assert data.category_names == ["zebra"]
    assert data.image_path(data.images[0]).is_file()
