"""The layers: what may import what."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "wildbench"
LAYERS = [
    {"cli"},
    {"baselines", "demo", "training_run"},
    {"evaluation", "tables", "curation"},
    {"leaderboard"},
    {"pictures"},
    {"comparison", "compression"},
    {"measures"},
    {"submissions"},
    {"detectors"},
    {"datasets"},
    {"environment"},
    {"scorecard"},
    {"files", "progress", "versions"},
    {"errors"},
    {"characters"},
]
"""From left to right; a module imports from its own room and from the layers to its right."""

MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def room(dotted: str) -> str:
    """`wildbench.measures.size` stands in the room `measures`."""
    return dotted.split(".")[1]


def layer(name: str) -> int:
    found = [index for index, rooms in enumerate(LAYERS) if name in rooms]
    assert found, f"{name} is in no layer: give it one in {Path(__file__).name}"
    return found[0]


def imports(path: Path) -> set[str]:
    """Every wildbench module that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            if node.module == "wildbench":
                found |= {f"wildbench.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("wildbench.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_imports_only_to_its_right(path: Path) -> None:
    own = path.relative_to(ROOT).with_suffix("").parts[0]
    for name in imports(path):
        if room(name) != own:
            assert layer(room(name)) > layer(own), f"{own} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_outgrows_one_idea(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
