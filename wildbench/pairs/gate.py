"""A gate for other people's CI: whether a compressed detector may take its parent's place, by goals stated beforehand.

Decided by the interval and not by the value: a goal is met where all of the interval meets it, missed where none of it
does, and open where these images cannot tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from wildbench.comparison import Row, compare
from wildbench.errors import RecipeError, first_problem
from wildbench.measures.uncertainty import REPLICATES, Interval
from wildbench.records import plain_toml
from wildbench.scorecard import read_scorecard

Lossy = Literal["ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "recall", "boxes"]
"""Figures of which some may be lost: those of AP, images with animals that are kept, and boxes that are found."""

Verdict = Literal["met", "missed", "open"]

UNITS = {"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

EXIT_CODES: Mapping[Verdict, int] = {"met": 0, "missed": 1, "open": 3}


def _bytes(given: object) -> object:
    """A size such as 4MB, in bytes."""
    found = re.fullmatch(r"([\d_.]+) ?([A-Za-z]*)", given.strip()) if isinstance(given, str) else None
    if found is None:
        return given
    if found[2] not in UNITS:
        raise ValueError(f"{given!r} is in none of {', '.join(filter(None, UNITS))}")
    return float(found[1]) * UNITS[found[2]]


def _times(given: object) -> object:
    """A factor such as 1.2x."""
    return given.strip().removesuffix("x") if isinstance(given, str) else given


class Goals(BaseModel):
    """What a child must keep to. At least one is stated.

    Example:
        >>> Goals.model_validate({"max-loss": {"ap50": 1}, "max-false-alarms": "1.2x", "max-bytes": "4MB"})
        Goals(max_loss={'ap50': 1.0}, max_false_alarms=1.2, max_bytes=4000000.0, threshold=None)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"))

    max_loss: dict[Lossy, Annotated[float, Field(ge=0, le=100)]] = Field(
        default={}, description="By figure: how many points of it may be lost."
    )
    max_false_alarms: Annotated[float, Field(gt=0), BeforeValidator(_times)] | None = Field(
        default=None, description="How many times as many as the parent's, at its threshold."
    )
    max_bytes: Annotated[float, Field(gt=0), BeforeValidator(_bytes)] | None = Field(
        default=None, description="Of the submission's file."
    )
    threshold: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="At which the parent is used; by default as `compare` takes it."
    )


@dataclass(frozen=True)
class Decision:
    """One goal, and whether it is met.

    Attributes:
        goal: As people say it.
        measured: What was measured, with its interval.
        verdict: By the whole of the interval.
    """

    goal: str
    measured: str
    verdict: Verdict


@dataclass(frozen=True)
class Outcome:
    """Every goal of one child."""

    name: str
    parent: str
    decisions: list[Decision]

    @property
    def verdict(self) -> Verdict:
        """Missed where one goal is, open where one is and none is missed."""
        verdicts = {one.verdict for one in self.decisions}
        return "missed" if "missed" in verdicts else "open" if "open" in verdicts else "met"

    @property
    def exit_code(self) -> int:
        """0 for met, 1 for missed, 3 where these images cannot tell."""
        return EXIT_CODES[self.verdict]

    def sentence(self) -> str:
        """Why, in one line."""
        what = "; ".join(f"{one.goal}: {one.measured}" for one in self.decisions if one.verdict == self.verdict)
        how = {"met": "keeps to every goal", "missed": "fails", "open": "may pass or fail: these images cannot tell"}
        return f"{self.name} {how[self.verdict]} against {self.parent}" + (
            f" ({what})" if self.verdict != "met" else ""
        )


def read_goals(path: Path | None = None, **stated: object) -> Goals:
    """Goals from a TOML file, and those stated beside it, which go before.

    Raises:
        RecipeError: `goals`: the file cannot be read, a goal is malformed, or there is none.

    Example:
        >>> read_goals(None, max_loss={"ap50": "1"}).max_loss
        {'ap50': 1.0}
    """
    try:
        document = {} if path is None else plain_toml(path)
        document |= {name.replace("_", "-"): value for name, value in stated.items() if value}
        goals = Goals.model_validate(document)
    except (OSError, ValueError) as error:
        what = first_problem(error) if isinstance(error, ValidationError) else getattr(error, "strerror", None) or error
        raise RecipeError(f"{path or 'goals'}: {what}", code="goals", remedy="see docs/pairs.md") from None
    if not (goals.max_loss or goals.max_false_alarms or goals.max_bytes):
        raise RecipeError("no goal is stated", code="goals", remedy="state one, such as --max-loss ap50=1")
    return goals


def judge(
    card: Path | str,
    parent: Path | str,
    goals: Goals,
    *,
    dataset: Path | str | None = None,
    split_file: Path | str | None = None,
    replicates: int = REPLICATES,
) -> Outcome:
    """Decide whether a child keeps to its goals.

    Args:
        card: The child's scorecard, with its detections beside it.
        parent: The parent's, on the same data set.
        goals: What it must keep to.
        dataset: The data set, where it is not a registered one: the COCO JSON they were scored on.
        split_file: Which images of a JSON are in which split, as `wildbench data split` writes it.
        replicates: Of the bootstrap.

    Raises:
        WildbenchError: As `compare`; `scorecard/no-size` where bytes are asked of detections without a file.

    Example:
        >>> from wildbench.datasets.registry import bundled
        >>> cards = [bundled(f"baselines/scorecards/{name}.json") for name in ("reference-tiny", "reference")]
        >>> judge(*cards, read_goals(max_bytes="1MB")).verdict
        'met'
    """
    source: dict[str, Any] = {"dataset": dataset, "split_file": split_file}
    found = compare([parent, card], **source, threshold=goals.threshold, replicates=replicates)
    (row,) = found.rows
    decisions = [_loss(row, figure, points) for figure, points in goals.max_loss.items()]
    if goals.max_false_alarms is not None:
        decisions.append(_alarms(row, goals.max_false_alarms))
    if goals.max_bytes is not None:
        decisions.append(_size(Path(card), goals.max_bytes))
    failed = found.failed_audits.get(row.name, {})
    decisions += [Decision(f"audit {name}", explanation, "missed") for name, explanation in failed.items()]
    return Outcome(row.name, found.baseline, decisions)


def _loss(row: Row, figure: Lossy, points: float) -> Decision:
    if figure in ("recall", "boxes"):
        change = getattr(row.field.kept, figure) if row.field else None
    else:
        change = {**row.overall, **row.sizes}[figure]
    goal = f"lose at most {points:g} points of {figure}"
    difference, ends = (None, None) if change is None else (change.difference, change.interval)
    if difference is None or ends is None:
        return Decision(goal, "no interval", "open")
    measured = f"{100 * difference:+.2f} points [{100 * ends[0]:+.2f}, {100 * ends[1]:+.2f}]"
    return Decision(goal, measured, _verdict((-100 * ends[1], -100 * ends[0]), points))


def _alarms(row: Row, most: float) -> Decision:
    goal = f"at most {most:g} times the false alarms"
    change = row.field
    if change is None or change.times is None or change.times_interval is None:
        return Decision(goal, "the parent raises none here, so there is no ratio", "open")
    low, high = change.times_interval
    counted = " to ".join(
        f"{1000 * (one or 0):.0f}" for one in (change.kept.false_alarms.baseline, change.kept.false_alarms.value)
    )
    measured = f"{change.times:.2f} times [{low:.2f}, {high:.2f}], {counted} per 1,000 at {change.threshold:.2f}"
    return Decision(goal, measured, _verdict((low, high), most))


def _size(card: Path, most: float) -> Decision:
    size = read_scorecard(card).size
    goal = f"at most {most / 1e6:g} MB"
    if size is None or size.file_bytes.value is None:
        return Decision(goal, "the card has no file size: it is of detections alone", "open")
    value = size.file_bytes.value
    return Decision(goal, f"{value / 1e6:.3g} MB", "met" if value <= most else "missed")


def _verdict(ends: Interval, most: float) -> Verdict:
    """Of what should not be above `most`."""
    low, high = ends
    return "met" if high <= most else "missed" if low > most else "open"
