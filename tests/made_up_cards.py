"""Scorecards with made-up figures, for tests of what is done with scorecards."""

from wildbench.measures.field import SHARES, SIDES
from wildbench.scorecard import (
    Accuracy,
    Calibration,
    Compute,
    Counts,
    Dataset,
    EmptyFilter,
    Environment,
    Errors,
    ErrorType,
    FieldFigures,
    Figure,
    FilterCurve,
    FilterPoint,
    ImageScores,
    Latency,
    OperatingPoint,
    PerCategory,
    Protocol,
    Scorecard,
    Size,
    Slice,
    Slicing,
    Submission,
    Uncertainty,
)


def make_field(*, alarms: float = 80.0) -> FieldFigures:
    """What a ranger sees of a made-up detector, with false alarms per 1,000 at a recall of 95 %."""

    def share(value: float, n: int = 40) -> Figure:
        return Figure(value=value, unit="1", n=n, interval=(value / 2, (1 + value) / 2))

    def at(threshold: float, recall: float, alarms: float) -> FilterPoint:
        figure = Figure(value=alarms, unit="per 1,000", n=50, interval=(alarms / 2, 500 + alarms / 2))
        removed = share(1 - alarms / 1000, 50)
        return FilterPoint(
            threshold=share(threshold), recall=share(recall), false_alarms=figure, empties_removed=removed
        )

    slices = {
        name: Slice(
            images=45,
            ap50=Figure(value=ap50, unit="AP", n=30, interval=(ap50 - 0.1, ap50 + 0.1)),
            recall=share(0.9),
            false_alarms=at(0.2, 0.9, alarms).false_alarms,
            p_value=0.4,
        )
        for name, ap50 in (("day", 0.8), ("night", 0.6))
    }
    stated = at(0.2, 0.9, alarms / 2)
    return FieldFigures(
        operating_point=OperatingPoint(threshold=Figure(value=0.2, unit="1"), source="given"),
        empty_filter=EmptyFilter(
            with_animals=40,
            empty=50,
            hard_negatives=5,
            at_recall={"0.95": at(0.1, 0.95, alarms), "0.99": at(0.02, 0.99, 900.0)},
            at_threshold={"0.2": stated},
            at_operating_point=stated,
            curve=FilterCurve(thresholds=[0.9, 0.1, 0.0], recall=[0.5, 0.95, 1.0], false_alarms=[0, alarms / 1e3, 1]),
        ),
        recall_threshold=0.2,
        recall_by_share={name: share(value) for name, value in zip(SHARES, (0.2, 0.5, 0.7, 0.9), strict=True)},
        recall_by_side={name: share(value) for name, value in zip(SIDES, (0.1, 0.3, 0.5, 0.7, 0.9), strict=True)},
        counts=Counts(
            error=Figure(value=0.4, unit="animals", n=90, interval=(0.3, 0.5)),
            bias=Figure(value=-0.2, unit="animals", n=90, interval=(-0.3, -0.1)),
            exact=share(0.7, 90),
        ),
        by_sequence=None,
        slices={
            "time_of_day": Slicing(
                drawn="locations",
                threshold=0.2,
                slices=slices,
                left_out=0,
                worst="night",
                verdict="night is the lowest",
            )
        },
    )


def make_card(name: str = "a", *, ap: float | None = 0.5, file_bytes: int = 1000, dataset: str = "2") -> Scorecard:
    """A whole scorecard with made-up figures."""
    figure = Figure.undefined("AP", "no box") if ap is None else Figure(value=ap, unit="AP", n=3)
    precisions = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
    recalls = ("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large")
    lion = PerCategory(ap=figure, ap50=figure, ap75=figure, ar_100=Figure.undefined("AR", "no lion"))
    iou = Figure(value=0.8, unit="IoU", n=3)
    milliseconds = Figure(value=20.0, unit="ms", n=100, interval=(19.0, 21.0))
    return Scorecard(
        submission=Submission(name=name, file=f"{name}.pt", sha256=name * 64, format="wildbench"),
        protocol=Protocol(engine="hotcoco 1.3.0"),
        dataset=Dataset(name="d", sha256=dataset * 64, images=2, boxes=3, categories=["lion"], partial_labels=False),
        accuracy=Accuracy(
            **dict.fromkeys(precisions, figure),
            **dict.fromkeys(recalls, figure.model_copy(update={"unit": "AR"})),
            per_category={"lion": lion},
            mean_iou50=iou,
            uncertainty=Uncertainty(
                method="m", level=0.95, replicates=2000, seed=1, groups="images", number_of_groups=2, engine="numba 0"
            ),
            predictions_file=f"{name}.predictions.json",
            predictions_sha256="0" * 64,
            detections=4,
        ),
        size=Size(
            file_bytes=Figure(value=file_bytes, unit="B", n=1),
            parameters=Figure(value=250, unit="parameters", n=3),
            nonzero=Figure(value=250, unit="parameters", n=3),
            dense_fp32_bytes=Figure(value=1000, unit="B", n=3),
            bitmask_bytes=Figure(value=1000, unit="B", n=3),
            entropy_bytes=Figure(value=900, unit="B", n=3),
            by_layer=None,
            by_part={"backbone": Figure(value=file_bytes, unit="B", n=3)},
        ),
        compute=Compute(
            macs=Figure(value=1e9, unit="MAC", n=2),
            flops=Figure(value=2e9, unit="FLOP", n=2),
            nonzero_macs=Figure(value=1e9, unit="MAC", n=2),
            bops=Figure(value=1e12, unit="BOP", n=2),
            operand_bits={"32x32": 1.0},
            proposals=Figure.undefined("proposals", "one stage"),
            macs_per_proposal=Figure.undefined("MAC", "one stage"),
            by_module={"backbone": Figure(value=1e9, unit="MAC", n=2)},
            uncounted={},
        ),
        latency=Latency(
            device="cpu",
            p50=milliseconds,
            p90=milliseconds,
            p99=Figure.undefined("ms", "too few runs", 100),
            mean=milliseconds,
            stages={},
            reference_ratio=Figure(value=1.5, unit="1", n=10),
            reference="a small network",
            warmup_runs=9,
            peak_memory=Figure(value=1e8, unit="B", n=1),
        ),
        field=make_field(),
        errors=Errors(
            iou=0.5,
            background_iou=0.1,
            tide={
                key: ErrorType(gain=Figure(value=0.01, unit="AP", n=3), count=1)
                for key in ("cls", "loc", "both", "dup", "bkg", "miss")
            },
            false_positives=Figure(value=0.02, unit="AP", n=3),
            false_negatives=Figure(value=0.03, unit="AP", n=3),
            unfound=[],
            calibration=Calibration(
                ece=Figure(value=0.1, unit="1", n=4), mce=Figure(value=0.2, unit="1", n=4), bins=[]
            ),
            images=ImageScores(
                file=f"{name}.images.csv",
                sha256="0" * 64,
                threshold=Figure(value=0.5, unit="1", n=4),
                mean_f1=Figure(value=0.5, unit="1", n=2),
                without_error=Figure(value=1, unit="image", n=2),
                worst=[],
            ),
        ),
        environment=Environment(wildbench="0", python="3", platform="p", cpu="c", cpu_count=2, packages={}),
    )
