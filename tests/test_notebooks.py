"""The notebooks run from top to bottom, and print what they show."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))


def texts(notebook: nbformat.NotebookNode) -> list[str]:
    """What every code cell prints and shows, as plain text."""
    return [
        "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_it_shows(path: Path) -> None:
    kept = nbformat.read(path, as_version=4)
    run = NotebookClient(
        nbformat.read(path, as_version=4), resources={"metadata": {"path": str(path.parent)}}, timeout=600
    )
    assert texts(run.execute()) == texts(kept)


def test_there_are_notebooks_with_their_outputs() -> None:
    assert len(NOTEBOOKS) == 2
    for path in NOTEBOOKS:
        assert any(texts(nbformat.read(path, as_version=4))), path.name
