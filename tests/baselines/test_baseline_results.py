"""RESULTS.md follows from the summaries, and the committed one from the committed summaries."""

import re
from pathlib import Path

import pytest
from made_up_points import measures, point, summary

from studies.results.document import read_summaries, results, write_results
from wildbench.errors import ScorecardError
from wildbench.resources import bundled
from wildbench.sweeps.charts import chart, svg
from wildbench.sweeps.grid import load_sweep
from wildbench.sweeps.record import read_summary

FILTERS = [{"method": "filters", "settings": {}}, {"method": "distil", "settings": {}}]


def test_the_committed_results_are_those_of_the_committed_summaries() -> None:
    committed = bundled("baselines/RESULTS.md").read_text(encoding="utf-8")
    assert committed == results(read_summaries(bundled("baselines/sweeps")))
    for picture in re.findall(r"\]\((sweeps/[^)]+\.svg)\)", committed):
        assert bundled(f"baselines/{picture}").is_file()


@pytest.mark.parametrize("path", sorted(bundled("baselines/sweeps").glob("*.json")), ids=lambda path: path.stem)
def test_a_committed_summary_has_every_point_of_its_sweep(path: Path) -> None:
    made = read_summary(path)
    plans = load_sweep(path.with_suffix(".toml"), [bundled("baselines/reference.pt")]).plans
    planned = {plan.name.removeprefix("reference-") for plan in plans}
    for dense in made.dense:
        assert {one.name.removeprefix(f"{one.dense}-") for one in made.points if one.dense == dense.name} == planned
    assert not made.failed


@pytest.mark.parametrize(
    ("cost", "interval", "said"),
    [
        (-0.02, (-0.03, -0.01), "-2.00 [-3.00, -1.00] points of AP50 on 10 boxes: there is a loss"),
        (
            0.001,
            (-0.004, 0.006),
            "+0.10 [-0.40, +0.60] points of AP50 on 10 boxes: it holds within half a "
            "point, inside which the interval ends",
        ),
        (
            -0.001,
            (-0.02, 0.018),
            "-0.10 [-2.00, +1.80] points of AP50 on 10 boxes: not distinguishable, which is not equal: a loss of "
            "up to 2.00 points is not excluded; 2.5 points is the smallest difference this split can show",
        ),
        (
            -0.001,
            None,
            "-0.10 points of AP50 on 10 boxes, no interval: all 10 boxes are in one of the locations: no answer",
        ),
    ],
)
def test_thirty_percent_is_answered_by_the_interval(
    cost: float, interval: tuple[float, float] | None, said: str
) -> None:
    assert f"- dense: {said}\n" in results([summary(point(cost=cost, interval=interval))])


@pytest.mark.parametrize(
    ("method", "settings", "title"),
    [
        (
            "filters",
            {"importance": "l1", "distribution": "global"},
            "40 % of all filters, those of least L1 norm, removed",
        ),
        ("kernels", {}, "40 % of all kernels larger than 1 x 1, those of least L1 norm, zeroed"),
    ],
)
def test_forty_percent_of_the_filters_is_answered_in_both_readings(
    method: str, settings: dict[str, str], title: str
) -> None:
    step = {"method": method, "settings": {**settings, "scope": "all", "ratio": 0.4}}
    lost = (-0.5, (-0.6, -0.4))
    said = results([summary(point(method, *lost, steps=[step]), point(method, *lost, steps=[step, FILTERS[1]]))])
    where = "parksim test (327 boxes in 168 images)"
    question = said[said.index("## What is left without 40 %") : said.index("## A sweep")]
    assert question.count("there is a loss") == 1, "what was trained again is no answer"
    assert f"On {where}, {title}, without recovery:\n\n- dense: -50.00 [-60.00, -40.00] points" in question


def test_a_claim_that_nobody_tried_is_said_to_be_open() -> None:
    assert "can be read in two ways.\n\nIt was not run." in results([summary(point())])


def test_categories_that_no_dense_detector_finds_are_named() -> None:
    said = results([summary(point())])
    assert "1 of 3 categories have an AP50 of 0 in every dense detector, and add nothing to a difference of" in said
    assert "means: bird." in said


def test_several_parents_are_answered_one_by_one_and_by_their_range() -> None:
    points = [point(cost=cost, dense=name) for name, cost in (("a", -0.01), ("b", 0.0), ("c", 0.04))]
    said = results([summary(*points)])
    assert "- a: -1.00 [-2.00, +0.00]" in said
    assert "- mean and range over 3 dense detectors: +1.0 (-1.0 to +4.0), n = 3" in said
    assert "| unstructured | 3 × 1 | 2.00 | 71.0 (69.0 to 74.0) |" in said


def test_the_table_of_all_points_is_folded_where_means_tell_all_of_them() -> None:
    repeated = [point(dense=name) for name in ("a", "b")]
    said = results([summary(*repeated)])
    assert "<details><summary>Every point</summary>\n\n| | MB |" in said
    assert said.index("</details>") < said.index("Mean and range over")
    assert "<details>" not in results([summary(*repeated, point(recipe="int8"))])
    assert "<details>" not in results([summary(point())])


def test_a_bound_is_judged_by_its_recipe_and_every_other_attempt_is_told() -> None:
    tried = [
        point("filters-tuned", cost, (cost - 0.01, cost + 0.01), ratio=ratio, steps=FILTERS, settings={"ratio": keep})
        for cost, ratio, keep in ((-0.03, 1.8, 0.3), (-0.005, 1.4, 0.2), (0.005, 2.0, 0.5))
    ]
    said = results([summary(point(cost=-0.004, interval=(-0.02, 0.01)), *tried)])
    where = "parksim test (327 boxes in 168 images)"
    bounds = [line for line in said.splitlines() if line.startswith("| ") and where in line]
    assert bounds == [
        f"| Unstructured pruning, 30 % of the backbone | within 0.5 AP50 | {where} | unstructured | 2.00 "
        "| -0.4 [-2.0, +1.0] | by the value alone |"
    ]
    assert (
        f"Other attempts at Channels removed, with recovery, within 1 AP50, 1.6 times smaller, on {where}; the best of "
        "them would be chosen after the fact, on the images that it is scored on:\n\n"
        "- filters-tuned ratio 0.3: 1.80 times smaller, -3.0 [-4.0, -2.0]: **no**\n"
        "- filters-tuned ratio 0.2: 1.40 times smaller, -0.5 [-1.5, +0.5]: **no**\n"
        "- filters-tuned ratio 0.5: 2.00 times smaller, +0.5 [-0.5, +1.5]: yes\n" in said
    )
    assert f"Not run: INT8 on {where}, Channels removed, with recovery on {where} and Deep" in said
    assert "| +0.1 [-0.2, +0.4] | yes |" in results([summary(point(cost=0.001, interval=(-0.002, 0.004)))])


def test_latencies_of_rounded_activations_are_explained() -> None:
    def rounded(activations: int | None) -> str:
        step = {"method": "quantize", "settings": {"activations": activations}}
        return results([summary(point("int8", steps=[step]))])

    assert "rounds them in floats as a `.pt`" in rounded(8)
    assert "rounds them in floats" not in rounded(None)


def test_what_could_not_be_made_is_named() -> None:
    failure = {"name": "dense-filters-seed0", "reason": "no filter can go; prune the backbone"}
    said = results([summary(point(), failed=[failure])])
    assert "Not made:\n\n- dense-filters-seed0: no filter can go; prune the backbone\n" in said


def test_a_figure_that_is_undefined_is_a_dash() -> None:
    ratio = {"value": None, "unit": "1", "reason": "not measured"}
    said = results(
        [summary(point(latency_ratio=ratio), dense=[measures("dense", latency_ratio=ratio, mean_iou50=None)])]
    )
    assert "| dense | 8.00 | 1 | 100.0 % | 1.500 | - | - | 70.0 [60.0, 80.0] | - | - |" in said


def test_it_is_written_with_its_charts_and_the_same_each_time(tmp_path: Path) -> None:
    with pytest.raises(ScorecardError, match="no summary of a sweep; run: wildbench baseline sweep"):
        write_results(tmp_path)
    summary(point(settings={"ratio": 0.1}), point(settings={"ratio": 0.2})).write(tmp_path / "sweeps" / "made-up.json")
    assert [path.name for path in write_results(tmp_path)] == ["RESULTS.md", "made-up.svg"]
    written = {path.name: path.read_bytes() for path in write_results(tmp_path)}
    assert written == {path.name: path.read_bytes() for path in write_results(tmp_path)}
    assert b"](sweeps/made-up.svg)" in written["RESULTS.md"]
    shown = written["made-up.svg"].decode()
    for words in ("A sweep that nobody ran", "AP50 in %", "bytes of the file", "MACs an image", "unstructured"):
        assert words in shown


@pytest.mark.parametrize("recipes", [3, 15])
def test_no_two_curves_have_one_colour(recipes: int) -> None:
    drawn = svg(chart(summary(*[point(recipe=f"recipe {number}") for number in range(recipes)]))).decode()
    circles = re.findall(r'aria-label="[^"]*series: (recipe \d+)[^"]*"[^>]*fill="([^"]+)"', drawn)
    colours = dict(circles)
    assert len(colours) == recipes
    assert len(set(colours.values())) == recipes
