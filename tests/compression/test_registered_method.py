"""A method of another package: one file and one entry point, and recipes, the list and sweeps know it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_up_herd import dense_submission, herd
from refusals import refused
from typer.testing import CliRunner

from wildbench import plugins
from wildbench.cli import app
from wildbench.submissions.archive import read_submission

METHOD = """
from pydantic import Field

from wildbench.compression.subject import Method, Settings, Subject, Workshop


class Damp(Settings):
    factor: float = Field(default=0.5, ge=0, description="Of every weight.")
    watch: bool = Field(default=False, description="Whether to look at an image.")


def damp(subject: Subject, settings: Damp, workshop: Workshop) -> None:
    if settings.watch:
        workshop.drawn(1)
    for parameter in subject.model.parameters():
        parameter.data.mul_(settings.factor)
    subject.history.append(f"damped by {settings.factor:g}")


DAMP = Method(Damp, damp, "every weight is damped", "Nobody (2026)", family="damping", last=True,
              needs_data=lambda settings: settings.watch)
"""
RECIPE = "summary = 'x'\n[[steps]]\nmethod = 'weights'\n[[steps]]\nmethod = 'damp'\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an installed package `made_up_damping`, a recipe and a dense submission."""
    site = tmp_path / "site"
    info = site / "made_up_damping-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "made_up_damping.py").write_text(METHOD)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up-damping\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[wildbench.methods]\ndamp = made_up_damping:DAMP\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(plugins, "methods", plugins.Registry("compression method", "wildbench.methods", BUILTIN))
    (tmp_path / "damped.toml").write_text(RECIPE)
    dense_submission(tmp_path / "dense.pt")
    yield tmp_path
    sys.modules.pop("made_up_damping", None)


BUILTIN = dict(plugins.methods._targets)


def wildbench(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def test_it_works_in_a_recipe_and_in_the_list(package: Path) -> None:
    said = wildbench(
        "baseline",
        "run",
        package / "damped.toml",
        "--from",
        package / "dense.pt",
        "-o",
        package / "a.pt",
        "--set",
        "factor=0.25",
        "--set",
        "weights.ratio=0",
    )
    assert "damped by 0.25" in said
    dense, damped = read_submission(package / "dense.pt"), read_submission(package / "a.pt")
    assert damped.manifest.method is not None
    assert damped.manifest.method.endswith("damped by 0.25")
    name = next(name for name, tensor in dense.tensors.items() if tensor.ndim == 4)
    assert damped.tensors[name].equal(dense.tensors[name] * 0.25)
    rows = wildbench("baseline", "list").splitlines()
    assert any("damp" in row.split() and "damping" in row.split() for row in rows)


def test_its_attributes_rule_like_those_of_our_own(package: Path) -> None:
    from wildbench.compression.recipes import load_recipe, parse_recipe, with_settings

    recipe = load_recipe(package / "damped.toml")
    assert not recipe.needs_data
    assert with_settings(recipe, [("watch", True)]).needs_data
    with refused("recipe/order", "follows damp"):
        parse_recipe({"summary": "x", "steps": [{"method": "damp"}, {"method": "weights"}]})
    with refused("recipe/unknown-method", "did you mean 'damp'?"):
        parse_recipe({"summary": "x", "steps": [{"method": "dam"}]})


@pytest.fixture
def grid(package: Path) -> Path:
    """A sweep with one point of the method."""
    (package / "grid.toml").write_text(
        "summary = 'x'\ndense = ['dense.pt']\n[[grid]]\nrecipe = 'damped.toml'\nset = { factor = [0.9] }\n"
    )
    return package / "grid.toml"


def test_it_is_a_point_of_a_sweep(grid: Path) -> None:
    from wildbench.sweeps.grid import load_sweep

    (plan,) = load_sweep(grid).plans
    assert plan.recipe.chain == "weights → damp"
    assert plan.settings == {"factor": 0.9}


@pytest.mark.slow
def test_it_works_in_a_sweep(package: Path, grid: Path) -> None:
    from wildbench.sweeps.record import read_summary

    herd(package / "photos", images=2)
    wildbench(
        "baseline",
        "sweep",
        grid,
        "-o",
        package / "out",
        "--dataset",
        package / "photos" / "herd.json",
        "--device",
        "cpu",
    )
    (point,) = read_summary(package / "out" / "grid.json").points
    assert [step.method for step in point.steps] == ["weights", "damp"]
    assert point.settings == {"factor": 0.9}
