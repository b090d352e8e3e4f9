"""What other evaluators do with the files that lie: run it to print the table and the counts.

    python tests/datasets/peers.py

A file is let through in silence where the evaluator returns its statistics without an exception and without a warning.
"""

# ruff: noqa: T201 - printing is what it is for

import contextlib
import copy
import io
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hotcoco
from malformed import LIES, Lie, spoilt
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Verdict = str
SILENT, WARNS, REFUSES = "silent", "warns", "refuses"


def by_pycocotools(labels: Path, detections: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(labels))
        run = COCOeval(truth, truth.loadRes(str(detections)), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()


def by_hotcoco(labels: Path, detections: Path) -> None:
    truth = hotcoco.COCO(str(labels))
    found = truth.load_res(str(detections))
    run = hotcoco.COCOeval(truth, found, "bbox")
    run.evaluate()
    run.accumulate()
    with contextlib.redirect_stdout(io.StringIO()):
        run.summarize()
    for line in [*truth.load_warnings, *found.load_warnings]:
        warnings.warn(line, stacklevel=1)


def by_healthcheck(labels: Path, detections: Path) -> None:
    """hotcoco's check, which its evaluation does not call."""
    truth = hotcoco.COCO(str(labels))
    report: dict[str, Any] = truth.healthcheck(truth.load_res(str(detections)))
    for problem in [*report["errors"], *report["warnings"]]:
        if problem["layer"] != "Distribution":  # few boxes a category, as in the honest pair
            warnings.warn(str(problem), stacklevel=1)


def verdict(judge: Callable[[Path, Path], None], lie: Lie) -> Verdict:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            judge(*spoilt(lie, Path(folder)))
        except BaseException:
            return REFUSES
        said = [entry for entry in caught if not issubclass(entry.category, DeprecationWarning)]
    return WARNS if said else SILENT


JUDGES = {"pycocotools": by_pycocotools, "hotcoco": by_hotcoco, "hotcoco healthcheck": by_healthcheck}


ALARMS = [lie for lie in LIES if lie.severity != "note"]
"""Files that are wrong, or very likely so."""


def sentence() -> str:
    """How many of them each evaluator lets through, as the page says it."""
    silent = {name: sum(verdict(judge, lie) == SILENT for lie in ALARMS) for name, judge in JUDGES.items()}
    return (
        f"Of the {len(ALARMS)} files with an error or a warning, pycocotools {version('pycocotools')} scores "
        f"{silent['pycocotools']} silently and hotcoco {version('hotcoco')} {silent['hotcoco']}; hotcoco's health "
        f"check, which its evaluation does not call, is silent on {silent['hotcoco healthcheck']}."
    )


def main() -> None:
    honest = Lie("the honest pair", "labels", "", "note", "", copy.deepcopy)
    print(f"| file | wildbench | {' | '.join(JUDGES)} |")
    for lie in [honest, *LIES]:
        verdicts = [verdict(judge, lie) for judge in JUDGES.values()]
        print(f"| {lie.name} | {lie.code} ({lie.severity}) | {' | '.join(verdicts)} |")
    print(sentence())


if __name__ == "__main__":
    main()
