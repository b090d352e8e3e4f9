"""How well a detector finds the animals, and where it errs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wildbench.scorecard._figure import (
    Count,
    Gain,
    Images,
    Keyed,
    Label,
    Listed,
    Overlap,
    Precision,
    Recall,
    Record,
    Share,
)

Fraction = Annotated[float, Field(ge=0, le=1 + 1e-9)]


class PerCategory(Record):
    """Accuracy on one category."""

    ap: Precision
    ap50: Precision
    ap75: Precision
    ar_100: Recall


class Statistics(Record):
    """COCO's twelve statistics, for boxes or for masks."""

    ap: Precision
    ap50: Precision
    ap75: Precision
    ap_small: Precision
    ap_medium: Precision
    ap_large: Precision
    ar_1: Recall
    ar_10: Recall
    ar_100: Recall
    ar_small: Recall
    ar_medium: Recall
    ar_large: Recall


class BoxAccuracy(Statistics):
    """COCO's twelve statistics, their split by category, and how closely the found boxes are met."""

    per_category: Keyed[PerCategory]
    mean_iou50: Overlap = Field(
        description="Mean IoU of the matches at IoU 0.5, of detections at or above the score where F1 over the split "
        "is best."
    )


class Uncertainty(Record):
    """How the intervals of the accuracy figures were obtained."""

    method: Label
    level: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="Probability with which an interval is to hold the figure on all such images."
    )
    replicates: Count = Field(description="How often the data set was drawn again.")
    seed: Count
    groups: Literal["images", "locations"] = Field(description="What is drawn: locations where every image has one.")
    number_of_groups: Count
    engine: Label = Field(description="The library that compiled the resampling, with its version.")


class Accuracy(BoxAccuracy):
    """How well it finds the animals."""

    masks: BoxAccuracy | None = Field(default=None, description="The same for masks, where the detector predicts them.")
    unknown_categories: Listed[Label] = Field(
        default_factory=list,
        description="Categories of the data set that the detector does not know; not in the means.",
    )
    uncertainty: Uncertainty
    predictions_file: Label = Field(
        pattern=r"^[^/\\]+$", description="COCO results file kept beside this record: its name, without a folder."
    )
    predictions_sha256: Label
    detections: Count = Field(description="Number of detections in that file.")


class ErrorType(Record):
    """One kind of error by TIDE."""

    gain: Gain = Field(description="By how much AP50 would rise if these errors alone were mended.")
    count: Count = Field(description="Detections that are such errors; for miss, boxes.")


class CalibrationBin(Record):
    """Detections of similar score."""

    low: Fraction
    high: Fraction = Field(description="Scores up to here, this one itself in the last bin alone.")
    detections: Count
    score: Fraction | None = Field(description="Mean score; null where there is no detection.")
    precision: Fraction | None = Field(description="Share of them that find a box; null where there is no detection.")


class Calibration(Record):
    """Whether scores can be read as the chance of being right, over all detections that AP looks at."""

    ece: Share = Field(
        description="Expected calibration error: mean of |score - precision| of the bins, by detections."
    )
    mce: Share = Field(description="The largest |score - precision| of a bin.")
    bins: Listed[CalibrationBin]


class ImageScore(Record):
    """One image at the threshold, where each box can be found once."""

    image_id: Annotated[int, Field(ge=-(2**53), le=2**53)]
    found: Count
    wrong: Count = Field(description="Detections that find no box.")
    missed: Count = Field(description="Boxes that no detection finds.")
    f1: Fraction | None = Field(description="2 found / (2 found + wrong + missed); null where there is nothing.")
    ap50: Fraction | None = Field(description="AP50 of this image alone, all categories in one, at any score.")


class ImageScores(Record):
    """Image by image; the whole list is in a file beside this record."""

    file: Label = Field(description="CSV, one row per image, kept beside this record.", pattern=r"^[^/\\]+$")
    sha256: Label
    threshold: Share = Field(
        description="Score from which detections count: where F1 over the split is best; all count where it is null."
    )
    mean_f1: Share = Field(description="Mean over the images with a box or a detection.")
    without_error: Images = Field(description="Images with nothing wrong and nothing missed.")
    worst: Listed[ImageScore] = Field(description="The images with most errors.")


class Errors(Record):
    """Why accuracy is what it is."""

    iou: Fraction = Field(description="IoU from which a detection finds a box.")
    background_iou: Fraction = Field(description="IoU below which a detection lies on background.")
    tide: Keyed[ErrorType] = Field(
        description="cls: wrong category; loc: badly placed; both: both; dup: a box found before; bkg: background; "
        "miss: boxes that nothing comes near."
    )
    false_positives: Gain = Field(description="By how much AP50 would rise without any wrong detection.")
    false_negatives: Gain = Field(description="By how much AP50 would rise without the boxes that are not found.")
    unfound: Listed[Label] = Field(
        description="Categories without one found box: the gains of miss and false_negatives are null then, because "
        "they take missed boxes out, and no box would be left."
    )
    calibration: Calibration
    images: ImageScores
