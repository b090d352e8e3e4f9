"""A sweep's TOML and the points that it lays out."""

import tomllib
from math import prod
from pathlib import Path

import pytest

from wildbench.compression.recipes import load_recipe
from wildbench.errors import RecipeError
from wildbench.resources import bundled
from wildbench.sweeps.grid import find_sweep, load_sweep

SWEEPS = sorted(bundled("baselines/sweeps").glob("*.toml"))
HEAD = "summary = 'x'\ndense = ['reference']\n"
AXIS = "[[grid]]\nrecipe = 'unstructured'\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "grid.toml"
    path.write_text(text)
    return path


def test_every_combination_is_a_point_with_a_name_of_its_own(tmp_path: Path) -> None:
    path = written(
        tmp_path, HEAD + AXIS + "set = { scope = ['backbone', 'both'], ratio = [0.1, 0.2] }\nseeds = [0, 7]\n"
    )
    plans = load_sweep(path).plans
    assert [plan.name for plan in plans] == [
        f"reference-unstructured-scope{scope}-ratio{ratio}-seed{seed}"
        for scope in ("backbone", "both")
        for ratio in (0.1, 0.2)
        for seed in (0, 7)
    ]
    for plan in plans:
        settings = plan.recipe.steps[0].settings.model_dump()
        assert {key: settings[key] for key in ("scope", "ratio")} == plan.settings
        assert plan.dense == bundled("baselines/reference.pt")


def test_other_parents_take_the_place_of_the_file_s(tmp_path: Path) -> None:
    parents = [tmp_path / f"{name}.pt" for name in "ab"]
    for parent in parents:
        parent.write_bytes(b"")
    sweep = load_sweep(written(tmp_path, HEAD + AXIS), parents)
    assert [plan.dense for plan in sweep.plans] == parents
    assert [plan.name for plan in sweep.plans] == ["a-unstructured-seed0", "b-unstructured-seed0"]


def test_paths_are_from_the_sweep_s_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.pt").write_bytes(b"")
    (tmp_path / "own.toml").write_text("summary = 'x'\n[[steps]]\nmethod = 'units'\n")
    path = written(tmp_path, "summary = 'x'\ndense = ['own.pt']\n[[grid]]\nrecipe = 'own.toml'\n")
    monkeypatch.chdir("/")
    (plan,) = load_sweep(path).plans
    assert (plan.dense, plan.recipe.chain) == (tmp_path / "own.pt", "units")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("summary = ", "not TOML"),
        ("summary = 'x'\ngrid = []", "grid: List should have at least 1 item"),
        ("summary = 'x'\n" + AXIS, "it names no dense submission; name one by --from"),
        ("summary = 'x'\ndense = ['none.pt']\n" + AXIS, "none.pt: no such file"),
        (HEAD + AXIS + "ratio = 0.3", "grid.0.ratio: Extra inputs"),
        (HEAD + AXIS + "seeds = []", "grid.0.seeds: List should have"),
        (HEAD + AXIS + "seeds = [-1]", "grid.0.seeds.0: Input should be greater than or equal to 0"),
        (HEAD + AXIS + "seeds = [4294967296]", "grid.0.seeds.0: Input should be less than 4294967296"),
        (HEAD + AXIS + "seeds = [true]", "grid.0.seeds.0: Input should be a valid integer"),
        (HEAD + AXIS + "seeds = [2.0]", "grid.0.seeds.0: Input should be a valid integer"),
        (HEAD + AXIS + "set = { ratio = [] }", "grid.0.set.ratio: List should have at least 1 item"),
        (HEAD + AXIS + "format = 'zip'", "grid.0.format: Input should be 'pt' or 'onnx'"),
        (HEAD + "[[grid]]\nrecipe = 'wieghts'", "no recipe 'wieghts'"),
        (HEAD + "[[grid]]\nrecipe = 'reference'", "a training recipe"),
        (HEAD + AXIS + "set = { rate = [0.1] }", "no step takes 'rate'"),
        (HEAD + AXIS + "set = { ratio = [0.1, 1.5] }", "ratio: Input should be less than 1"),
        (HEAD + AXIS + "set = { ratio = [0.1], 'weights.ratio' = [0.9] }", "ratio of step 1 is set twice; set it once"),
        (HEAD + AXIS + "format = 'onnx'", "unstructured: an ONNX graph takes 8-bit activations"),
        (HEAD + AXIS + AXIS, "two points would be called 'reference-unstructured-seed0'"),
        ("summary = 'x'\ndense = ['reference', 'reference']\n" + AXIS, "two points would be called"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_sweep(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_sweep(written(tmp_path, text))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_bundled_sweeps_lay_out(path: Path, tmp_path: Path) -> None:
    parent = tmp_path / "parent.pt"
    parent.write_bytes(b"")
    assert find_sweep(path.stem) == path
    sweep = load_sweep(path, [parent])
    grid = tomllib.loads(path.read_text())["grid"]
    points = [prod(map(len, axis.get("set", {}).values())) * len(axis.get("seeds", [0])) for axis in grid]
    assert [plan.recipe.name for plan in sweep.plans] == [
        axis["recipe"] for axis, many in zip(grid, points, strict=True) for _ in range(many)
    ]
    for plan in sweep.plans:
        unchanged = load_recipe(plan.recipe.place)
        assert (plan.recipe.digest == unchanged.digest) == all(
            getattr(step.settings, key, value) == value
            for key, value in plan.settings.items()
            for step in unchanged.steps
        )


def test_steps_of_one_kind_keep_their_points_apart(tmp_path: Path) -> None:
    (tmp_path / "twice.toml").write_text("summary = 'x'\n" + "[[steps]]\nmethod = 'units'\n" * 2)
    axes = "".join(f"[[grid]]\nrecipe = 'twice.toml'\nset = {{ '{number}.ratio' = [0.5] }}\n" for number in (1, 2))
    plans = load_sweep(written(tmp_path, HEAD + axes)).plans
    assert [plan.name for plan in plans] == [f"reference-twice-{number}.ratio0.5-seed0" for number in (1, 2)]


def test_a_setting_cannot_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "tuned.toml").write_text("summary = 'x'\n[[steps]]\nmethod = 'fine-tune'\n")
    path = written(tmp_path, HEAD + "[[grid]]\nrecipe = 'tuned.toml'\nset = { like = ['../../../elsewhere/a.toml'] }\n")
    (plan,) = load_sweep(path).plans
    assert plan.name == "reference-tuned-like.._.._.._elsewhere_a.toml-seed0"
    assert plan.settings == {"like": "../../../elsewhere/a.toml"}


def test_a_sweep_that_is_not_there_is_one_line() -> None:
    with pytest.raises(RecipeError, match=r"no sweep 'none'; name a TOML file, or one of .*paper-parksim"):
        find_sweep("none")
