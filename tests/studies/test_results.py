"""RESULTS.md: its tables follow from the summaries, its sentences say what they say, and a bound is met or not."""

import re
from pathlib import Path
from typing import Any

import pytest
from made_up_points import figure, measures, point, summary
from typer.testing import CliRunner

from studies.places import places
from studies.results.__main__ import app
from studies.results.bounds import BOUNDS, BY_INTERVAL, BY_MEAN, BY_VALUE, NO
from studies.results.document import PLACE, bounds_table, fill, lost_categories, read_summaries, sweep_table
from wildbench.compression.recipes import find_recipe, load_recipe
from wildbench.errors import ScorecardError
from wildbench.resources import bundled
from wildbench.sweeps.charts import chart, svg
from wildbench.sweeps.grid import load_sweep
from wildbench.sweeps.record import Summary

RESULTS = bundled("baselines/RESULTS.md")
CHANNELS = next(bound for bound in BOUNDS if bound.title.startswith("Channels"))


@pytest.fixture(scope="module")
def summaries() -> list[Summary]:
    return read_summaries(bundled("baselines/sweeps"))


def judged(recipe: str, cost: float, interval: tuple[float, float] | None, **changes: Any) -> dict[str, Any]:
    """A point that a bundled recipe made as it stands."""
    steps = load_recipe(find_recipe(recipe)).steps
    plain = [{"method": step.method, "settings": step.settings.model_dump(mode="json")} for step in steps]
    return point(recipe, cost, interval, steps=plain, **changes)


def cells(table: str) -> list[list[str]]:
    """The rows of a Markdown table, without its head."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_committed_tables_are_those_of_the_committed_summaries(summaries: list[Summary]) -> None:
    committed = RESULTS.read_text(encoding="utf-8")
    assert committed == fill(committed, summaries)
    pictures = re.findall(r"\]\((sweeps/[^)]+\.svg)\)", committed)
    assert sorted(pictures) == sorted(f"sweeps/{one.sweep}.svg" for one in summaries)
    assert all(bundled(f"baselines/{picture}").is_file() for picture in pictures)
    assert len(committed.split()) < 3000


def test_the_sentences_say_what_the_tables_say(summaries: list[Summary]) -> None:
    """Whoever runs a sweep again and lands here: read RESULTS.md, and write what is true now."""
    rows = {(row[0], row[2].split(",")[0]): row for row in cells(bounds_table(summaries))}
    assert {key: row[5] for key, row in rows.items()} == {
        ("Unstructured pruning, 30 % of the backbone", "parksim test"): BY_VALUE,
        ("Unstructured pruning, 30 % of the backbone", "wildlife_real/val"): BY_MEAN,
        ("INT8", "parksim test"): BY_VALUE,
        ("INT8", "wildlife_real/val"): BY_INTERVAL,
        ("Channels removed, with recovery", "parksim test"): BY_VALUE,
        ("Channels removed, with recovery", "wildlife_real/val"): BY_INTERVAL,
        ("Deep Compression", "parksim test"): NO,
        ("Deep Compression", "wildlife_real/val"): BY_INTERVAL,
    }
    assert rows["Deep Compression", "parksim test"][3:5] == ["12.47", "-2.6 [-5.4, +0.1]"]
    assert "-0.9 [-1.6, -0.2]" in rows["Unstructured pruning, 30 % of the backbone", "wildlife_real/val"][4]
    assert {row[2] for row in rows.values()} == {
        "parksim test, 327 boxes, 5 locations",
        "wildlife_real/val, 982 boxes, 677 images",
    }
    wildlife = [one for sweep in summaries if sweep.dataset.name == "wildlife_real/val" for one in sweep.points]
    changes = [(name, change.dense) for one in wildlife for name, change in one.per_category.items()]
    found: dict[str, float] = {}
    for name, dense in ((name, dense) for name, dense in changes if dense is not None):
        found[name] = max(found.get(name, 0.0), dense)
    assert len(found) == 11
    assert sorted(name for name, best in found.items() if best == 0) == [
        *("bird", "crocodile", "giraffe", "leopard", "person")
    ]
    for sweep in summaries:
        for row in cells(sweep_table(sweep)):
            if row[0] in ("filters all 0.4", "kernels all 0.4", "filters all 0.1", "filters-random all 0.1"):
                assert float(row[3]) < 4, "destroyed"
            if row[0] == "filters taylor all 0.2":
                assert float(row[4].split()[0]) > -1


@pytest.mark.parametrize("path", sorted(bundled("baselines/sweeps").glob("*.json")), ids=lambda path: path.stem)
def test_a_committed_summary_has_every_point_of_its_sweep(path: Path, summaries: list[Summary]) -> None:
    (made,) = [one for one in summaries if one.sweep == path.stem]
    plans = load_sweep(path.with_suffix(".toml"), [bundled("baselines/reference.pt")]).plans
    planned = {plan.name.removeprefix("reference-") for plan in plans}
    for dense in made.dense:
        assert {one.name.removeprefix(f"{one.dense}-") for one in made.points if one.dense == dense.name} == planned
    assert not made.failed


def test_the_bounds_are_those_that_were_set() -> None:
    assert [(bound.recipe, bound.least_ratio, bound.most_loss) for bound in BOUNDS] == [
        ("unstructured", 1, 0.005),
        ("int8", 4, 0.005),
        ("filters-distilled", 1.6, 0.01),
        ("deep-compression", 12, 0.01),
    ]
    assert [bound.claim for bound in BOUNDS][::3] == ["within 0.5 AP50", "within 1 AP50, 12 times smaller"]


def verdict(*points: dict[str, Any]) -> str:
    place = CHANNELS.judged(summary(*points).points)
    assert place is not None
    return CHANNELS.verdict(place)


def test_a_bound_is_met_where_every_interval_ends_inside_it() -> None:
    recipe, inside, beyond = CHANNELS.recipe, (-0.01, 0.0), (-0.03, 0.01)
    for cost, interval, ratio, met in (
        (-0.005, inside, 1.6, BY_INTERVAL),
        (-0.005, (-0.0101, 0.0), 1.6, BY_VALUE),
        (-0.005, None, 1.6, BY_VALUE),
        (-0.005, inside, 1.59, NO),
        (-0.0101, (-0.02, 0.0), 1.6, NO),
        (0.02, (-0.02, 0.06), 3.0, BY_VALUE),
    ):
        assert verdict(judged(recipe, cost, interval, ratio=ratio)) == met, (cost, interval, ratio)
    for cost, interval, met in (
        (-0.006, inside, BY_INTERVAL),
        (-0.009, beyond, BY_VALUE),
        (-0.012, beyond, BY_MEAN),
        (-0.016, beyond, NO),
    ):
        pair = judged(recipe, -0.005, inside, dense="a"), judged(recipe, cost, interval, dense="b")
        assert verdict(*pair) == met, cost
    undefined = judged(recipe, 0.0, (-0.01, 0.01), ratio=2.0)
    undefined["overall"]["ap50"] |= {"value": None, "difference": None, "interval": None}
    assert verdict(undefined) == NO


def test_a_bound_is_judged_by_its_own_recipe_as_it_stands() -> None:
    better = point("filters-tuned", 0.01, ratio=3.0, steps=[{"method": "filters", "settings": {}}])
    changed = judged(CHANNELS.recipe, 0.02, (0.0, 0.04), settings={"ratio": 0.25})
    graph = judged(CHANNELS.recipe, 0.03, (0.0, 0.04), format="onnx")
    own = judged(CHANNELS.recipe, -0.5, None)
    place = CHANNELS.judged(summary(better, changed, graph, own).points)
    assert place is not None
    assert [one.overall["ap50"].difference for one in place] == [pytest.approx(-0.5)]
    assert CHANNELS.judged(summary(better, changed, graph).points) is None
    rows = cells(bounds_table([summary(own)]))
    assert [row[5] for row in rows] == ["not run", "not run", NO, "not run"]


def test_a_row_is_the_mean_of_its_points_with_interval_or_range() -> None:
    several = [point(cost=cost, dense=name) for name, cost in (("a", -0.01), ("b", 0.0), ("c", 0.04))]
    (row,) = cells(sweep_table(summary(*several)))
    assert row == ["unstructured", "2.00", "71.0", "+1.0 (-1.0, +4.0)", ""]
    (row,) = cells(sweep_table(summary(several[0])))
    assert row == ["unstructured", "2.00", "69.0", "-1.0 [-2.0, +0.0]", ""]
    smaller = point(macs=figure(1e9, "MAC"))
    (row,) = cells(sweep_table(summary(smaller, dense=[measures("dense")])))
    assert row[:4] == ["unstructured", "2.00", "1.00", "69.0"]


def test_an_animal_is_lost_where_less_than_half_is_left_and_the_interval_shows_it() -> None:
    lost = [{"lion": lion, "zebra": zebra} for lion, zebra in ((-0.1, 0.0), (-0.5, -0.1), (-0.7, -0.2))]
    curve = [point(settings={"ratio": ratio}, categories=one) for ratio, one in zip((0.1, 0.2, 0.3), lost, strict=True)]
    assert [row[-1] for row in cells(sweep_table(summary(*curve)))] == ["", "lion", ""]
    vague = point(categories={"lion": -0.8, "zebra": -0.6})
    vague["per_category"]["lion"]["interval"] = (-1.0, 0.1)
    vague["per_category"]["zebra"] |= {"interval": None, "n": 1}
    both = [point(dense="a", categories={"lion": -0.7}), point(dense="b", categories={"lion": -0.65})]
    both[1]["per_category"]["lion"]["interval"] = (-0.9, 0.01)
    for points, names in (
        ([vague], []),
        (both, []),
        ([point(categories={"lion": -0.5, "zebra": -0.6})], ["zebra", "lion"]),
    ):
        (place,) = places(summary(*points).points)
        assert lost_categories(place) == names


def test_the_command_fills_the_document_and_draws_the_charts_the_same_each_time(tmp_path: Path) -> None:
    document = tmp_path / "RESULTS.md"
    document.write_text("Said.\n<!-- bounds -->\n<!-- end -->\n<!-- made-up -->\nold\n<!-- end -->\n")
    made = summary(point(settings={"ratio": 0.1}), point(settings={"ratio": 0.2}))
    made.write(tmp_path / "sweeps" / "made-up.json")

    def command(*arguments: str) -> int:
        return CliRunner().invoke(app, ["--folder", str(tmp_path), *arguments]).exit_code

    assert command("--quick") == 1
    assert command() == 0
    assert command("--quick") == 0
    written = [path.read_bytes() for path in (document, tmp_path / "sweeps" / "made-up.svg")]
    assert command() == 0
    assert written == [path.read_bytes() for path in (document, tmp_path / "sweeps" / "made-up.svg")]
    assert [name for name, _ in PLACE.findall(written[0].decode())] == ["bounds", "made-up"]
    assert "unstructured 0.2 | 2.00" in written[0].decode()
    for words in ("A sweep that nobody ran", "AP50 in %", "file size in MB", "unstructured"):
        assert words in written[1].decode()


def test_a_document_that_does_not_fit_the_sweeps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScorecardError) as error:
        read_summaries(tmp_path)
    assert error.value.code == "scorecard/no-summary"
    for text, code in (
        ("", "no-place-for-table"),
        ("<!-- bounds -->\n<!-- end --><!-- made-up -->\n<!-- end --><!-- gone -->\n<!-- end -->", "no-such-sweep"),
    ):
        with pytest.raises(ScorecardError) as error:
            fill(text, [summary(point())])
        assert error.value.code == f"scorecard/{code}"


@pytest.mark.parametrize("recipes", [3, 15])
def test_no_two_curves_have_one_colour(recipes: int) -> None:
    drawn = svg(chart(summary(*[point(recipe=f"recipe {number}") for number in range(recipes)]))).decode()
    circles = re.findall(r'aria-label="[^"]*series: (recipe \d+)[^"]*"[^>]*fill="([^"]+)"', drawn)
    colours = dict(circles)
    assert len(colours) == recipes
    assert len(set(colours.values())) == recipes
