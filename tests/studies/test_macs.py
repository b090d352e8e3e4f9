"""`python -m studies.macs` as a person runs it."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from studies.macs.__main__ import QUICK, app
from wildbench.errors import RecipeError, WildbenchError
from wildbench.measures.compute._torch_counter import RULES, aten

DOCUMENT = Path(__file__).parents[2] / "docs" / "counting.md"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "100"})


def table(text: str, name: str) -> list[str]:
    """The rows of a network's table and what stands below it."""
    lines = [line.rstrip() for line in text.splitlines()]
    start = lines.index(name)
    end = next(place for place, line in enumerate(lines) if place > start and line.startswith("counted by none"))
    return lines[start : end + 1]


def test_the_table_has_three_counters_and_nothing_unexplained() -> None:
    result = run("--quick")
    assert result.exit_code == 0, result.output
    assert "UNEXPLAINED" not in result.stdout
    assert result.stdout.rstrip().endswith("rows of 2 networks and their modules, 0 unexplained")
    documented = DOCUMENT.read_text(encoding="utf-8").split("<!-- audit -->")[1]
    for name in QUICK:
        assert table(result.stdout, name) == table(documented, name)


def test_a_wrong_rule_ends_in_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, aten.convolution, lambda args, out: 1)
    result = run(QUICK[1])
    assert result.exit_code == 1
    assert "UNEXPLAINED" in result.stdout


def test_what_cannot_be_audited_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    error = run("yolo").exception
    assert isinstance(error, RecipeError)
    assert error.code == "recipe/no-such-detector"
    monkeypatch.setitem(sys.modules, "fvcore", None)
    monkeypatch.delitem(sys.modules, "fvcore.nn", raising=False)
    error = run(QUICK[1]).exception
    assert isinstance(error, WildbenchError)
    assert error.code == "missing-extra/test"


@pytest.mark.slow
def test_every_difference_in_the_whole_zoo_is_explained() -> None:
    result = run()
    assert result.exit_code == 0, result.output
    documented = DOCUMENT.read_text(encoding="utf-8").split("<!-- audit -->")[1]
    assert result.stdout.rstrip().splitlines()[-1] in documented
    assert table(result.stdout, "maskrcnn_resnet50_fpn") == table(documented, "maskrcnn_resnet50_fpn")
