"""`wildbench audit macs` as a person runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from wildbench.detectors.zoo import _zoo

DOCUMENT = Path(__file__).parents[2] / "docs" / "counting.md"
CHEAP = ("fcos_efficientnet_lite0_fpn", "ssdlite320_mobilenet_v3_large")


def run(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    program = f"{before}\nfrom wildbench.cli import main; main()"
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)


def test_the_table_has_three_counters_and_nothing_unexplained() -> None:
    result = run("audit", "macs", *CHEAP)
    assert result.returncode == 0, result.stderr
    assert "UNEXPLAINED" not in result.stdout
    assert result.stdout.rstrip().endswith("rows of 2 networks and their modules, 0 unexplained")
    for text in (*CHEAP, "our MACs", "torch FLOPs", "fvcore FLOPs", "multiply-add", "batch norm"):
        assert text in result.stdout
    documented = DOCUMENT.read_text(encoding="utf-8").split("<!-- audit -->")[1]
    for name in CHEAP:
        assert table(result.stdout, name) == table(documented, name)


def table(text: str, name: str) -> list[str]:
    """The rows of a network's table and what stands below it."""
    lines = [line.rstrip() for line in text.splitlines()]
    start = lines.index(name)
    end = next(place for place, line in enumerate(lines) if place > start and line.startswith("counted by none"))
    return lines[start : end + 1]


def test_a_wrong_rule_ends_in_exit_code_1() -> None:
    wrong = (
        "from wildbench.measures.compute._torch_rules import RULES, aten; RULES[aten.convolution] = lambda args, out: 1"
    )
    result = run("audit", "macs", CHEAP[0], before=wrong)
    assert result.returncode == 1
    assert "UNEXPLAINED" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "before", "says"),
    [
        (("yolo",), "", "no detector is called 'yolo'; choose from"),
        ((CHEAP[0],), "import sys; sys.modules['fvcore'] = None", "fvcore is not installed; pip install fvcore"),
    ],
)
def test_what_cannot_be_audited_is_one_line(arguments: tuple[str, ...], before: str, says: str) -> None:
    result = run("audit", "macs", *arguments, before=before)
    assert result.returncode == 2
    assert result.stderr.startswith("wildbench: ")
    assert len(result.stderr.splitlines()) == 1
    assert says in result.stderr


@pytest.mark.slow
def test_every_difference_in_the_whole_zoo_is_explained() -> None:
    result = run("audit", "macs")
    assert result.returncode == 0, result.stdout
    assert f"rows of {len(_zoo.names())} networks and their modules, 0 unexplained" in result.stdout
