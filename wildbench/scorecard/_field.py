"""What a ranger sees of a detector: docs/field.md says what each figure answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wildbench.scorecard._figure import (
    Animals,
    Count,
    Keyed,
    Label,
    Listed,
    PerThousand,
    Precision,
    Record,
    Share,
    Signed,
    Text,
)

Score = Annotated[float, Field(ge=0, le=1)]


class OperatingPoint(Record):
    """The score from which the detector's detections are taken."""

    threshold: Share = Field(description="null where nobody states one: never chosen on the split that is reported.")
    source: Literal["given", "manifest", "val"] | None = Field(description="Who says so; val: best F1 on this split.")


class FilterPoint(Record):
    """What the filter does at one threshold."""

    threshold: Share
    recall: Share = Field(description="Share of the images with an animal that are kept.")
    false_alarms: PerThousand = Field(description="Of 1,000 empty images, how many are kept.")
    empties_removed: Share = Field(description="Share of the empty images that are thrown away.")


class FilterCurve(Record):
    """Recall against false alarms, thinned; thresholds fall."""

    thresholds: Listed[Score]
    recall: Listed[Score]
    false_alarms: Listed[Score] = Field(description="Share of the empty images that are kept.")


class EmptyFilter(Record):
    """The detector as a filter that throws empty images away."""

    with_animals: Count = Field(description="Images with a box of a category that the detector knows.")
    empty: Count = Field(description="Images that take part and have none.")
    hard_negatives: Count = Field(description="Of the empty ones, those that may hold an animal of another category.")
    at_recall: Keyed[FilterPoint] = Field(description="By the share of the images with an animal that must be kept.")
    at_threshold: Keyed[FilterPoint] = Field(description="By the threshold.")
    at_operating_point: FilterPoint | None = Field(description="null where nobody states one.")
    curve: FilterCurve | None = Field(description="null where all images have an animal, or none has.")


class Counts(Record):
    """How well animals are counted, at the operating point."""

    error: Animals = Field(description="Mean of |detected - there|.")
    bias: Signed = Field(description="Mean of detected - there: above 0 where too many are counted.")
    exact: Share = Field(description="Share in which the number is right.")


class SequenceCounts(Counts):
    """The same by sequence, where the largest number in one image counts."""

    events_found: Share = Field(description="Share of the sequences with an animal in which one is detected.")
    false_events: PerThousand = Field(description="Of 1,000 sequences without one, in how many something is detected.")


class Slice(Record):
    """The images of one place, time or kind."""

    images: Count
    ap50: Precision
    recall: Share = Field(description="Share of the images with an animal that are kept at the threshold.")
    false_alarms: PerThousand
    p_value: Score | None = Field(
        description="Of an AP50 no other than the mean of the other slices, by Holm corrected for all of them."
    )


class Slicing(Record):
    """Accuracy and empty filter by one field of the images."""

    drawn: Label = Field(
        description="What is drawn: locations, images, or images within locations where one is a slice."
    )
    threshold: Score
    slices: Keyed[Slice]
    left_out: Count = Field(description="Images without the field, or in slices beyond the largest.")
    worst: Label | None = Field(description="The slice with the lowest AP50.")
    verdict: Text = Field(description="What can be said of it.")


class FieldFigures(Record):
    """What a ranger sees."""

    operating_point: OperatingPoint
    empty_filter: EmptyFilter
    recall_threshold: Score = Field(
        description="Of the two below: the operating point, else the threshold that keeps 95 % of the animals."
    )
    recall_by_share: Keyed[Share] = Field(description="By a box's share of the picture, in percent.")
    recall_by_side: Keyed[Share] = Field(description="By the side of a square as large as the box, in pixels.")
    counts: Counts
    by_sequence: SequenceCounts | None = Field(description="null where images belong to no sequence.")
    slices: Keyed[Slicing] = Field(default_factory=dict, description="By field of the images.")
