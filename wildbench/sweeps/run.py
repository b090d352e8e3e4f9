"""Running a sweep: every point of its grid, those that are done already left alone."""

from __future__ import annotations

from wildbench.errors import RecipeError, WildbenchError
from wildbench.scorecard import read_scorecard
from wildbench.sweeps.charts import write_charts
from wildbench.sweeps.gather import gather
from wildbench.sweeps.grid import Sweep
from wildbench.sweeps.leakage import check_apart
from wildbench.sweeps.points import DENSE, POINTS, Bench, Point, run_dense, run_point
from wildbench.sweeps.record import Failure, Summary


def run_sweep(sweep: Sweep, bench: Bench) -> Summary:
    """Run every point of a grid, and write the sweep's JSON, CSV and charts into its folder.

    A point that fails is kept in the record with its reason, and the others are run. After an interruption the same
    call goes on with the first point that is not done.

    Args:
        sweep: What to run.
        bench: Where, and on what.

    Raises:
        WildbenchError: A dense parent cannot be evaluated, or lies in a folder that the sweep clears; what is wrong
            with the data set; a recipe would train or calibrate on what is scored.
    """
    _check_dense(sweep, bench)
    recipes = [plan.recipe for plan in sweep.plans]
    check_apart(recipes, bench.dataset, bench.split, images=bench.images, training=bench.training)
    cards = {dense: run_dense(dense, bench) for dense in sweep.dense}
    points: list[Point] = []
    failed: list[Failure] = []
    bench.progress(f"sweep {sweep.name}", 0, len(sweep.plans))
    for done, plan in enumerate(sweep.plans, 1):
        try:
            points.append(run_point(plan, cards[plan.dense], bench))
        except WildbenchError as error:
            failed.append(Failure(name=plan.name, reason=str(error)))
        bench.progress(f"sweep {sweep.name}", done, len(sweep.plans))
    summary = gather(sweep, {dense.stem: read_scorecard(card) for dense, card in cards.items()}, points, failed)
    summary.write(bench.folder / f"{sweep.name}.json")
    summary.write_csv(bench.folder / f"{sweep.name}.csv")
    write_charts(summary, bench.folder / sweep.name)
    return summary


def _check_dense(sweep: Sweep, bench: Bench) -> None:
    for dense in sweep.dense:
        for own in (bench.folder / DENSE, bench.folder / POINTS):
            if dense.resolve().is_relative_to(own.resolve()):
                raise RecipeError(f"{dense} lies in {own}, where a sweep clears folders", remedy="move it elsewhere")
