"""How well a detector finds the animals, and where it errs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wildbench.scorecard._figure import Figure, Record


class PerCategory(Record):
    """Accuracy on one category."""

    ap: Figure
    ap50: Figure
    ap75: Figure
    ar_100: Figure


class Statistics(Record):
    """COCO's twelve statistics, for boxes or for masks."""

    ap: Figure
    ap50: Figure
    ap75: Figure
    ap_small: Figure
    ap_medium: Figure
    ap_large: Figure
    ar_1: Figure
    ar_10: Figure
    ar_100: Figure
    ar_small: Figure
    ar_medium: Figure
    ar_large: Figure


class BoxAccuracy(Statistics):
    """COCO's twelve statistics, their split by category, and how closely the found boxes are met."""

    per_category: dict[str, PerCategory]
    mean_iou50: Figure = Field(
        description="Mean IoU of the matches at IoU 0.5, of detections at or above the score where F1 over the split "
        "is best."
    )


class Uncertainty(Record):
    """How the intervals of the accuracy figures were obtained."""

    method: str
    level: float = Field(description="Probability with which an interval is to hold the figure on all such images.")
    replicates: int = Field(description="How often the data set was drawn again.")
    seed: int
    groups: Literal["images", "locations"] = Field(description="What is drawn: locations where every image has one.")
    number_of_groups: int
    engine: str = Field(description="The library that compiled the resampling, with its version.")


class Accuracy(BoxAccuracy):
    """How well it finds the animals."""

    masks: BoxAccuracy | None = Field(default=None, description="The same for masks, where the detector predicts them.")
    unknown_categories: list[str] = Field(
        default_factory=list,
        description="Categories of the data set that the detector does not know; not in the means.",
    )
    uncertainty: Uncertainty
    predictions_file: str = Field(
        pattern=r"^[^/\\]+$", description="COCO results file kept beside this record: its name, without a folder."
    )
    predictions_sha256: str
    detections: int = Field(description="Number of detections in that file.")


class ErrorType(Record):
    """One kind of error by TIDE."""

    gain: Figure = Field(description="By how much AP50 would rise if these errors alone were mended.")
    count: int = Field(description="Detections that are such errors; for miss, boxes.")


class CalibrationBin(Record):
    """Detections of similar score."""

    low: float
    high: float = Field(description="Scores up to here, this one itself in the last bin alone.")
    detections: int
    score: float | None = Field(description="Mean score; null where there is no detection.")
    precision: float | None = Field(description="Share of them that find a box; null where there is no detection.")


class Calibration(Record):
    """Whether scores can be read as the chance of being right, over all detections that AP looks at."""

    ece: Figure = Field(
        description="Expected calibration error: mean of |score - precision| of the bins, by detections."
    )
    mce: Figure = Field(description="The largest |score - precision| of a bin.")
    bins: list[CalibrationBin]


class ImageScore(Record):
    """One image at the threshold, where each box can be found once."""

    image_id: int
    found: int
    wrong: int = Field(description="Detections that find no box.")
    missed: int = Field(description="Boxes that no detection finds.")
    f1: float | None = Field(description="2 found / (2 found + wrong + missed); null where there is nothing.")
    ap50: float | None = Field(description="AP50 of this image alone, all categories in one, at any score.")


class ImageScores(Record):
    """Image by image; the whole list is in a file beside this record."""

    file: str = Field(description="CSV, one row per image, kept beside this record.")
    sha256: str
    threshold: Figure = Field(
        description="Score from which detections count: where F1 over the split is best; all count where it is null."
    )
    mean_f1: Figure = Field(description="Mean over the images with a box or a detection.")
    without_error: Figure = Field(description="Images with nothing wrong and nothing missed.")
    worst: list[ImageScore] = Field(description="The images with most errors.")


class Errors(Record):
    """Why accuracy is what it is."""

    iou: float = Field(description="IoU from which a detection finds a box.")
    background_iou: float = Field(description="IoU below which a detection lies on background.")
    tide: dict[str, ErrorType] = Field(
        description="cls: wrong category; loc: badly placed; both: both; dup: a box found before; bkg: background; "
        "miss: boxes that nothing comes near."
    )
    false_positives: Figure = Field(description="By how much AP50 would rise without any wrong detection.")
    false_negatives: Figure = Field(description="By how much AP50 would rise without the boxes that are not found.")
    unfound: list[str] = Field(
        description="Categories without one found box: the gains of miss and false_negatives are null then, because "
        "they take missed boxes out, and no box would be left."
    )
    calibration: Calibration
    images: ImageScores
