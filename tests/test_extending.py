"""docs/extending.md shows the package in tests/plugins; here its parts work together, elsewhere each in its room."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import wildbench
from wildbench import plugins
from wildbench.cli import app
from wildbench.detectors import zoo
from wildbench.plugins import Registry
from wildbench.sweeps.record import read_summary

PACKAGE = Path(__file__).parent / "plugins"
PAGE = (PACKAGE.parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
SHOWN = dict(re.findall(r"^\[\S+\]\(\.\./tests/plugins/(\S+)\)\n\n```\w+\n(.*?)^```", PAGE, re.M | re.S))
LINES = 25
"""A file has fewer, blank ones not counted."""


def test_the_page_shows_the_package_as_it_is() -> None:
    assert len(SHOWN) == PAGE.count("\n```") / 2, "a block without its file"
    for name, text in SHOWN.items():
        assert text == (PACKAGE / name).read_text(encoding="utf-8"), name


def test_each_kind_is_one_short_file_and_one_entry_point(savanna: Path) -> None:
    groups = tomllib.loads(SHOWN["pyproject.toml"])["project"]["entry-points"]
    registries = [registry for registry in vars(plugins).values() if isinstance(registry, Registry)]
    assert groups.keys() == {registry.group for registry in registries}
    for registry in registries:
        assert registry.names()[-1:] == tuple(groups[registry.group])
    files = SHOWN.keys() - {"pyproject.toml"}
    assert len(files) == len(registries)
    for name in files:
        assert len([line for line in SHOWN[name].splitlines() if line]) < LINES, name


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_sweep_and_a_board_of_it(savanna: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its method compresses its detector, which is scored on its data set by its measure."""
    monkeypatch.chdir(tmp_path)
    arguments = zoo.detector("fasterrcnn_mobilenet_v2").small
    model = zoo.build("fasterrcnn_mobilenet_v2", 1, **arguments)
    options = {"detector": "fasterrcnn_mobilenet_v2", "arguments": arguments, "categories": ["zebra"]}
    wildbench.save_submission(model, tmp_path / "dense.pt", **options)
    Path("clipped.toml").write_text("summary = 'x'\n[[steps]]\nmethod = 'clip'\n")
    Path("grid.toml").write_text(
        "summary = 'x'\ndense = ['dense.pt']\n[[grid]]\nrecipe = 'clipped.toml'\nset = { at = [0.5] }\n"
    )
    table = run("baseline", "sweep", "grid.toml", "-o", "out", "--dataset", "waterhole", "--device", "cpu")
    assert "energy" in table
    summary = read_summary(Path("out/grid.json"))
    (point,) = summary.points
    assert [step.method for step in point.steps] == ["clip"]
    assert point.settings == {"at": 0.5}
    assert (point.detector, summary.dataset.name) == ("fasterrcnn_mobilenet_v2", "waterhole")
    assert point.value("energy") == pytest.approx(4.6e-9 * (point.value("macs") or 0))
    assert "energy" in Path("out/grid.csv").read_text().splitlines()[0].split(",")

    cards = sorted(path for path in Path("out").glob("*/*/*.json") if path.stem == path.parent.name)
    assert len(cards) == 2
    for card in cards:
        assert json.loads(card.read_text())["measures"]["energy"]["unit"] == "mJ"
        run("leaderboard", "add", card, "--board", "board")
        file = next(one for one in (Path("dense.pt"), *card.parent.glob("*.pt")) if one.stem == card.stem)
        run("leaderboard", "reproduce", card.stem, "--submission", file, "--board", "board", "--device", "cpu")
    run("leaderboard", "build", "--board", "board")
    board = json.loads(Path("board/leaderboard.json").read_text())
    assert board["measures"][-1]["key"] == "energy"
    (section,) = board["sections"]
    assert [row["figures"]["energy"]["unit"] for row in section["rows"]] == ["mJ", "mJ"]
    assert "energy" in {front["axis"] for front in section["fronts"]}, "no choice of the Pareto plot"
    assert "energy" in Path("board/index.html").read_text()
