"""A package that adds one of each kind by entry points: nothing in wildbench knows of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

PACKAGE = Path(__file__).parent / "plugins"

MANIFEST = {
    "name": "mean-green",
    "detector": {"name": "mean-green"},
    "categories": ["okapi"],
    "input": {"layout": "chw"},
    "output": {"kind": "torchvision"},
}

RECIPE = "summary = 'damped'\n[[steps]]\nmethod = 'damp'\n"

SAVE = """
import wildbench
from wildbench.detectors import zoo
model = zoo.build("whole-image", 1)
wildbench.save_submission(model, "dense.pt", detector="whole-image", categories=["okapi"])
"""

RUN = """
from typer.testing import CliRunner
from wildbench.cli import app
for line in LINES:
    done = CliRunner().invoke(app, line.split(), catch_exceptions=False)
    print(done.output)
    assert done.exit_code == 0, done.output
"""

GRID = "summary = 'x'\ndense = ['dense.pt']\n[[grid]]\nrecipe = 'damped.toml'\nset = { factor = [0.9, 0.5] }\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the package is installed."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=PACKAGE, check=True, capture_output=True)
    with ZipFile(next((folder / "dist").glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def work(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a submission of the package's format, one of its detector, a recipe and a grid with its method."""
    folder = tmp_path_factory.mktemp("work")
    np.savez(folder / "green.npz", weights=np.array([2.0], np.float32))
    (folder / "green.manifest.json").write_text(json.dumps(MANIFEST))
    (folder / "damped.toml").write_text(RECIPE)
    (folder / "grid.toml").write_text(GRID)
    python(site, folder, SAVE)
    return folder


def python(site: Path, work: Path, code: str) -> str:
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wildbench(site: Path, work: Path, *lines: str) -> str:
    """What command lines print, one after the other in one process."""
    return python(site, work, f"LINES = {list(lines)}\n{RUN}")


def test_its_format_is_evaluated_on_its_data_set_with_its_measure(site: Path, work: Path) -> None:
    printed = wildbench(
        site,
        work,
        "evaluate green.npz --dataset okapis --device cpu --out green.json",
        "inspect green.npz",
        "data list",
    )
    card = json.loads((work / "green.json").read_text())
    assert (card["submission"]["format"], card["dataset"]["name"]) == ("arrays", "okapis")
    assert card["accuracy"]["detections"] == 2
    assert card["size"]["parameters"]["value"] == 1
    assert card["compute"]["macs"]["value"] == 1
    assert card["measures"]["energy"] == {
        "value": 4.6e-9,
        "unit": "mJ",
        "interval": None,
        "n": 2,
        "reason": None,
        "caution": None,
    }
    assert "energy" in printed
    assert "okapis of the Ituri forest" in printed


def test_its_method_and_its_detector_go_through_a_recipe_and_a_sweep_that_shows_its_measure(
    site: Path, work: Path
) -> None:
    printed = wildbench(
        site,
        work,
        "baseline list",
        "baseline run damped.toml --from dense.pt -o damped.pt",
        "baseline sweep grid.toml -o out --dataset okapis --device cpu",
    )
    assert "damp" in printed
    points = json.loads((work / "out" / "grid.json").read_text())["points"]
    assert [point["settings"] for point in points] == [{"factor": 0.9}, {"factor": 0.5}]
    for point in points:
        assert point["detector"] == "whole-image"
        assert point["figures"]["energy"]["value"] == pytest.approx(4.6e-9 * point["figures"]["macs"]["value"])
    assert "energy" in (work / "out" / "grid.csv").read_text().splitlines()[0]


def test_its_measure_is_a_column_of_the_board_and_a_cost_of_its_fronts(site: Path, work: Path) -> None:
    wildbench(
        site,
        work,
        "evaluate dense.pt --dataset okapis --device cpu --out dense.json",
        "evaluate green.npz --dataset okapis --device cpu --out green.json",
        "leaderboard add green.json --board board",
        "leaderboard add dense.json --board board",
        "leaderboard build --board board",
    )
    (section,) = json.loads((work / "board" / "leaderboard.json").read_text())["sections"]
    assert {front["axis"] for front in section["fronts"]} >= {"energy", "macs", "file_bytes"}
    assert "energy" in json.dumps(section["rows"][0])
    assert "energy" in (work / "board" / "index.html").read_text()
