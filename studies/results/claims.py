"""What papers report of pruning without recovery, and what is left here: AP50, for each dense detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from wildbench.sweeps.cells import change, place_change
from wildbench.sweeps.record import PointRecord, places

HALF_A_POINT = 0.005


@dataclass(frozen=True)
class Trial:
    """What was done, by which a claim is judged.

    Attributes:
        title: In words.
        method: The one step that was done.
        settings: Those that it had.
    """

    title: str
    method: str
    settings: Mapping[str, JsonValue]

    def includes(self, point: PointRecord) -> bool:
        """Whether a point had this done, and nothing else."""
        return [step.method for step in point.steps] == [self.method] and (
            self.settings.items() <= point.steps[0].settings.items()
        )


@dataclass(frozen=True)
class Claim:
    """What a paper reports.

    Attributes:
        question: That it leaves open.
        reported: In a sentence.
        trials: By which the question is answered: several, where the paper can be read in several ways.
    """

    question: str
    reported: str
    trials: tuple[Trial, ...]


PLAIN_THIRTY = Trial(
    "30 % of the backbone's weights pruned by magnitude",
    "weights",
    {"ratio": 0.3, "scope": "backbone", "criterion": "l1"},
)
"""Of Muhawenayo & Gkioxari (2021)."""

CLAIMS = (
    Claim(
        'Does "30 % without loss" hold?',
        "Muhawenayo & Gkioxari (2021) print an AP50 of 88.15 with 30 % of the backbone pruned, and of 87.92 with none.",
        (PLAIN_THIRTY,),
    ),
    Claim(
        "What is left without 40 % of the filters?",
        "Frühwirth (2024) reports an IoU@0.5 of 0.72 with 40 % of a Mask R-CNN pruned. AP50 is our measure, and what "
        "he prunes can be read in two ways.",
        (
            Trial(
                "40 % of all filters, those of least L1 norm, removed",
                "filters",
                {"ratio": 0.4, "scope": "all", "importance": "l1", "distribution": "global"},
            ),
            Trial(
                "40 % of all kernels larger than 1 x 1, those of least L1 norm, zeroed",
                "kernels",
                {"ratio": 0.4, "scope": "all"},
            ),
        ),
    ),
)


def answers(claim: Claim, by_dataset: Mapping[str, Sequence[PointRecord]]) -> list[str]:
    """Paragraphs with what is reported and the answer for each data set, in Markdown.

    Args:
        claim: To answer.
        by_dataset: Points by what they were scored on, in words.
    """
    said = []
    for where, found in by_dataset.items():
        for trial in claim.trials:
            for place in places(point for point in found if trial.includes(point)):
                lines = [f"On {where}, {trial.title}, without recovery:\n"]
                lines += [f"- {point.dense}: {_answer(point)}" for point in place]
                if len(place) > 1:
                    lines.append(f"- mean and range over {len(place)} dense detectors: {place_change(place)}")
                said.append("\n".join(lines))
    return [claim.reported, *(said or ["It was not run."])]


def _answer(point: PointRecord) -> str:
    """Whether it comes without loss, for one detector."""
    one = point.overall["ap50"]
    shown = f"{change(one, 2)} points of AP50 on {one.n} boxes"
    if one.interval is None:
        return f"{shown}, {one.caution}: no answer"
    low, high = one.interval
    if high < 0:
        answer = "there is a loss"
    elif low >= -HALF_A_POINT:
        answer = "it holds within half a point, inside which the interval ends"
    else:
        answer = f"not distinguishable, which is not equal: a loss of up to {-100 * low:.2f} points is not excluded"
        if one.smallest is not None:
            answer += f"; {100 * one.smallest:.1f} points is the smallest difference this split can show"
    return f"{shown}: {answer}" + (f" ({one.caution})" if one.caution else "")
