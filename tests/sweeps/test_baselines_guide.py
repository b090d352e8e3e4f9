"""docs/baselines.md tells of every method, setting, recipe and sweep what the code does."""

import re
import tomllib
from pathlib import Path

from studies.results.bounds import BOUNDS
from wildbench import plugins
from wildbench.compression.recipes import bundled_recipes, parse_recipe
from wildbench.resources import bundled
from wildbench.sweeps.grid import load_sweep

GUIDE = (Path(__file__).parents[2] / "docs" / "baselines.md").read_text(encoding="utf-8")


def told(name: str) -> str:
    """What stands between two marks of the guide."""
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", GUIDE, re.DOTALL)
    assert found, name
    return found[1]


def table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in cells)


def methods_table() -> str:
    rows = []
    for name, method in plugins.methods.all().items():
        settings = ", ".join(
            f"`{key}` {_default(field.default)}" for key, field in method.settings.model_fields.items()
        )
        rows.append([f"`{name}`", method.summary, settings or "-", "yes" if method.last else "", method.source])
    return table(["method", "what it does", "settings and defaults", "last", "source"], rows)


def settings_table() -> str:
    """A row for each setting; methods that take the very same one share it."""
    takers: dict[tuple[str, str, str], list[str]] = {}
    for name, method in plugins.methods.all().items():
        for key, field in method.settings.model_fields.items():
            assert field.description, f"{name}: {key}"
            takers.setdefault((key, _default(field.default), field.description), []).append(f"`{name}`")
    rows = [[", ".join(names), f"`{key}`", default, said] for (key, default, said), names in takers.items()]
    return table(["methods", "setting", "default", "what it is"], rows)


def recipes_table() -> str:
    rows = [[f"`{one.name}`", one.summary, one.chain, one.source or "-"] for one in bundled_recipes()]
    return table(["recipe", "what it does", "steps", "source"], rows)


def sweeps_table() -> str:
    rows = []
    for path in sorted(bundled("baselines/sweeps").glob("*.toml"), key=lambda path: path.stem):
        sweep = load_sweep(path, [bundled("baselines/reference.pt")])
        rows.append([f"`{sweep.name}`", sweep.summary, f"{len(sweep.plans)} a dense detector"])
    return table(["sweep", "what it is", "points"], rows)


def _default(value: object) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def test_the_tables_are_those_of_the_code() -> None:
    assert told("methods") == methods_table()
    assert told("settings") == settings_table()
    assert told("recipes") == recipes_table()
    assert told("sweeps") == sweeps_table()


def test_the_bounds_are_those_of_the_code() -> None:
    assert told("bounds") == "\n".join(f"- {bound.title}: {bound.claim}" for bound in BOUNDS)


def test_the_recipe_and_the_sweep_that_are_shown_can_be_run(tmp_path: Path) -> None:
    recipe, sweep = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    assert parse_recipe(tomllib.loads(recipe)).chain == "filters → recalibrate → distil"
    (tmp_path / "shown.toml").write_text(sweep)
    assert len(load_sweep(tmp_path / "shown.toml").plans) == 3 * 3 + 1


if __name__ == "__main__":
    for told_by in (methods_table, settings_table, recipes_table, sweeps_table):
        print(told_by(), end="\n\n")  # noqa: T201
