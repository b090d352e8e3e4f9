"""A sweep from its TOML to its record: real detectors, real evaluations, on a few small photographs."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from made_up_herd import dense_submission, herd
from refusals import refused

from wildbench.comparison import compare
from wildbench.errors import DatasetError
from wildbench.files import sha256_of
from wildbench.resources import bundled
from wildbench.scorecard import read_scorecard
from wildbench.sweeps.grid import Sweep, load_sweep
from wildbench.sweeps.record import Summary, read_summary
from wildbench.sweeps.run import Bench, depends_on, is_done, run_sweep

GRID = """
summary = "weights of a tiny detector"
dense = ["dense.pt"]
[[grid]]
recipe = "recipe.toml"
set = { ratio = [0.1, 0.5] }
"""
RECIPE = "summary = 'some weights go'\n[[steps]]\nmethod = 'weights'\nscope = 'both'\n"
REPLICATES = 200


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    dense_submission(folder / "dense.pt")
    herd(folder / "photos")
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "grid.toml").write_text(GRID)
    return folder


def bench(place: Path, name: str, **changes: Any) -> Bench:
    options = {"dataset": str(place / "photos" / "herd.json"), "device": "cpu", "replicates": REPLICATES}
    return Bench(**{"folder": place / name} | options | changes)


@pytest.fixture(scope="module")
def sweep(place: Path) -> Sweep:
    return load_sweep(place / "grid.toml")


@pytest.fixture(scope="module")
def summary(place: Path, sweep: Sweep) -> Summary:
    return run_sweep(sweep, bench(place, "whole"))


def without_times(summary: Summary) -> Any:
    """The record but for what was timed."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(inner) for key, inner in value.items() if not key.startswith(("latency", "peak_memory"))}
        return [strip(inner) for inner in value] if isinstance(value, list) else value

    return strip(summary.model_dump(mode="json"))


def test_every_point_is_kept_with_its_files(place: Path, summary: Summary) -> None:
    assert [point.name for point in summary.points] == ["dense-recipe-ratio0.1-seed0", "dense-recipe-ratio0.5-seed0"]
    for point in summary.points:
        folder = place / "whole" / "points" / point.name
        card = read_scorecard(folder / f"{point.name}.json")
        assert sha256_of(folder / f"{point.name}.pt") == card.submission.sha256 == point.sha256
        assert (folder / card.accuracy.predictions_file).is_file()
        assert card.submission.parent == point.parent == sha256_of(place / "dense.pt")


def test_a_point_says_what_its_scorecard_and_the_comparison_say(place: Path, summary: Summary) -> None:
    dense_card = place / "whole" / "dense" / "dense" / "dense.json"
    for point in summary.points:
        path = place / "whole" / "points" / point.name / f"{point.name}.json"
        card = read_scorecard(path)
        assert card.size is not None
        assert card.compute is not None
        figures = [card.accuracy.ap, card.accuracy.ap50, card.compute.macs, card.size.file_bytes]
        assert [point.figures[key] for key in ("ap", "ap50", "macs", "file_bytes")] == figures
        assert point.value("file_bytes") == (path.parent / f"{point.name}.pt").stat().st_size
        assert point.ratio == (place / "dense.pt").stat().st_size / point.value("file_bytes")
        row = compare([dense_card, path], dataset=place / "photos" / "herd.json", replicates=REPLICATES).rows[0]
        for mine, theirs in (
            (point.overall, {name: row.overall[name] for name in ("ap", "ap50")}),
            (point.sizes, row.sizes),
            (point.per_category, {name: changes["ap50"] for name, changes in row.per_category.items()}),
        ):
            assert mine.keys() == theirs.keys()
            for name, change in mine.items():
                assert (change.interval, change.n, change.verdict) == (
                    theirs[name].interval,
                    theirs[name].n,
                    theirs[name].verdict,
                )
                if theirs[name].difference is not None:
                    assert change.difference == pytest.approx(theirs[name].difference, abs=1e-12)


def test_pruning_half_costs_more_than_a_tenth(summary: Summary) -> None:
    """The boxes are the dense detector's own, so it does well on them, and a ruined copy does not."""
    (dense,), (little, much) = summary.dense, summary.points
    assert dense.value("ap50") > 0.6
    costs = [point.overall["ap50"].difference for point in (little, much)]
    assert costs[0] is not None
    assert costs[1] is not None
    assert costs[1] < costs[0]
    assert much.value("nonzero") < little.value("nonzero")


def test_the_record_is_read_again_and_a_newer_one_refused(place: Path, summary: Summary) -> None:
    path = place / "whole" / "grid.json"
    assert read_summary(path) == summary
    raw = json.loads(path.read_text())
    newer = place / "newer.json"
    newer.write_text(json.dumps(raw | {"format_version": 2}))
    with refused("scorecard/newer-format", "newer.json"):
        read_summary(newer)
    for text in ("{", "[" * 100_000):
        newer.write_text(text)
        with refused("scorecard/not-json", "newer.json"):
            read_summary(newer)
    for text, code in (("{}", "no-format-version"), ('{"format_version": 1}', "damaged")):
        newer.write_text(text)
        with refused(f"scorecard/{code}", "newer.json"):
            read_summary(newer)
    with refused("scorecard/unreadable", "none.json"):
        read_summary(place / "none.json")


def test_the_csv_has_a_row_a_point(place: Path, summary: Summary) -> None:
    rows = list(csv.DictReader((place / "whole" / "grid.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == [point.name for point in summary.points]
    for row, point in zip(rows, summary.points, strict=True):
        assert float(row["ap50"]) == point.value("ap50")
        assert row["settings"] == f"ratio={point.settings['ratio']}"
        assert point.overall["ap50"].interval is not None
        assert float(row["ap50_difference_low"]) == point.overall["ap50"].interval[0]
        lion = point.per_category["lion"]
        assert float(row["ap50_difference_lion"]) == lion.difference
        assert lion.interval is not None
        assert tuple(float(row[f"ap50_difference_lion_{end}"]) for end in ("low", "high")) == lion.interval


def test_the_chart_is_drawn_twice(place: Path, summary: Summary) -> None:
    assert (place / "whole" / "grid.svg").read_text().startswith("<svg")
    assert (place / "whole" / "grid.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_done_is_not_done_again(place: Path, sweep: Sweep, summary: Summary) -> None:
    kept = {path: path.stat().st_mtime_ns for path in (place / "whole" / "points").rglob("*.*")}
    assert run_sweep(sweep, bench(place, "whole")) == summary
    assert {path: path.stat().st_mtime_ns for path in (place / "whole" / "points").rglob("*.*")} == kept


def test_what_is_damaged_is_not_done(place: Path, sweep: Sweep, summary: Summary, tmp_path: Path) -> None:
    name = summary.points[0].name
    needed, folder = depends_on(sweep.plans[0], bench(place, "whole")), place / "whole" / "points" / name
    assert is_done(folder, needed)
    assert not is_done(tmp_path / "none", needed)
    assert {path.name for path in folder.iterdir()} > {
        *("point.json", "comparison.json"),
        *(f"{name}{suffix}" for suffix in (".pt", ".json", ".predictions.json")),
    }
    for path in folder.iterdir():
        copy = shutil.copytree(folder, tmp_path / path.name) / path.name
        assert is_done(copy.parent, needed)
        for text in (b"{", b"{}", b"\xff"):
            copy.write_bytes(text)
            assert not is_done(copy.parent, needed)
        copy.unlink()
        assert not is_done(copy.parent, needed)


def test_a_training_recipe_that_is_named_is_read_anew(place: Path) -> None:
    """Its path stays, and what it says changes."""
    like = place / "like.toml"
    text = bundled("baselines/reference.toml").read_text()
    (place / "tuned.toml").write_text(f"summary = 'x'\n[[steps]]\nmethod = 'fine-tune'\nlike = '{like}'\n")
    (place / "tuned_grid.toml").write_text("summary = 'x'\ndense = ['dense.pt']\n[[grid]]\nrecipe = 'tuned.toml'\n")
    (plan,) = load_sweep(place / "tuned_grid.toml").plans
    found = []
    for words in (text, text.replace("flip = 0.5", "flip = 0.25")):
        like.write_text(words)
        found.append(depends_on(plan, bench(place, "like", training=str(place / "photos" / "herd.json"))))
    assert found[0] != found[1]
    assert {key for key in found[0] if found[0][key] != found[1][key]} == {"like"}


def test_a_changed_recipe_makes_its_points_anew_and_others_stay(place: Path, summary: Summary) -> None:
    """Another importance; the ratio 0.5 is dropped, so one point is run."""
    before = (place / "whole" / "points" / summary.points[0].name / "point.json").read_text()
    (place / "recipe.toml").write_text(RECIPE + "criterion = 'random'\n")
    (place / "grid.toml").write_text(GRID.replace("[0.1, 0.5]", "[0.1]"))
    try:
        found = run_sweep(load_sweep(place / "grid.toml"), bench(place, "whole"))
    finally:
        (place / "recipe.toml").write_text(RECIPE)
        (place / "grid.toml").write_text(GRID)
    (point,) = found.points
    assert point.name == summary.points[0].name
    assert point.sha256 != summary.points[0].sha256
    assert point.steps[0].settings["criterion"] == "random"
    assert (place / "whole" / "points" / point.name / "point.json").read_text() != before
    assert found.dense == summary.dense  # was not evaluated again: its times are the same


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on_to_the_same_record(place: Path, sweep: Sweep, summary: Summary) -> None:
    """Interrupted while its second point is evaluated: the first stays, the second starts over."""
    second = sweep.plans[1].name

    def interrupt(task: str, done: int, total: int) -> None:
        if task == f"evaluate {second}" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep, bench(place, "resumed", progress=interrupt))
    points = place / "resumed" / "points"
    assert (points / sweep.plans[0].name / "point.json").is_file()
    assert not (points / second / "point.json").exists()
    assert not (place / "resumed" / "grid.json").exists()
    (points / second / "left over.txt").write_text("of the interrupted run")
    first = {path: path.stat().st_mtime_ns for path in (points / sweep.plans[0].name).iterdir()}
    resumed = run_sweep(sweep, bench(place, "resumed"))
    assert {path: path.stat().st_mtime_ns for path in (points / sweep.plans[0].name).iterdir()} == first
    assert not (points / second / "left over.txt").exists()
    assert without_times(resumed) == without_times(summary)


def test_a_point_that_cannot_be_made_is_told_and_the_others_are_run(place: Path, summary: Summary) -> None:
    (place / "wrong.toml").write_text(
        RECIPE + "[[steps]]\nmethod = 'quantize'\nactivations = false\nscope = 'head'\nkeep = 'head'\n"
    )
    (place / "wrong_grid.toml").write_text(
        GRID.replace("recipe.toml", "wrong.toml").replace("ratio", "weights.ratio").replace("0.1, 0.5", "0.1")
        + "[[grid]]\nrecipe = 'recipe.toml'\nset = { ratio = [0.5] }\n"
    )
    others = herd(place / "others", seed=1)
    found = run_sweep(load_sweep(place / "wrong_grid.toml"), bench(place, "whole", training=str(others)))
    assert found.points == [summary.points[1]]
    (failure,) = found.failed
    assert failure.name == "dense-wrong-weights.ratio0.1-seed0"
    assert "wrong.toml: step 2 (quantize): " in failure.reason


def test_a_data_set_that_is_not_there_stops_it(place: Path, sweep: Sweep) -> None:
    with pytest.raises(DatasetError):
        run_sweep(sweep, bench(place, "nowhere", dataset=str(place / "none.json")))
    assert not (place / "nowhere").exists()


def test_a_dense_file_is_not_cleared_away(place: Path, tmp_path: Path) -> None:
    for inside in ("dense/dense/dense.pt", "dense/dense.pt", "points/dense-recipe-ratio0.1-seed0/dense.pt"):
        dense = tmp_path / inside
        dense.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(place / "dense.pt", dense)
        with refused("recipe/dense-in-sweep", str(dense)):
            run_sweep(load_sweep(place / "grid.toml", [dense]), bench(place, "-", folder=tmp_path))
        assert sha256_of(dense) == sha256_of(place / "dense.pt")
