"""A sweep's TOML, the points that it lays out, and the data that it must not mix."""

import copy
import json
import tomllib
from math import prod
from pathlib import Path

import pytest
from made_up_herd import ARGUMENTS, CATEGORIES, dense_submission, herd, small_detector
from refusals import refused

from wildbench import plugins
from wildbench.compression.recipes import Recipe, load_recipe, parse_recipe
from wildbench.compression.subject import Subject, Workshop
from wildbench.datasets.coco import Dataset
from wildbench.detectors.zoo import _zoo
from wildbench.resources import bundled
from wildbench.submissions.manifest import parse_manifest
from wildbench.sweeps.grid import check_apart, find_sweep, load_sweep
from wildbench.sweeps.run import Bench, run_sweep

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
    ("text", "code", "place"),
    [
        ("summary = ", "not-toml", ""),
        ("summary = 'x'\ngrid = []", "invalid", "grid: "),
        ("summary = 'x'\n" + AXIS, "no-dense", "--from"),
        ("summary = 'x'\ndense = ['none.pt']\n" + AXIS, "no-dense", "none.pt"),
        (HEAD + AXIS + "ratio = 0.3", "invalid", "grid.0.ratio: "),
        (HEAD + AXIS + "seeds = []", "invalid", "grid.0.seeds: "),
        (HEAD + AXIS + "seeds = [-1]", "invalid", "grid.0.seeds.0: "),
        (HEAD + AXIS + "seeds = [4294967296]", "invalid", "grid.0.seeds.0: "),
        (HEAD + AXIS + "seeds = [true]", "invalid", "grid.0.seeds.0: "),
        (HEAD + AXIS + "seeds = [2.0]", "invalid", "grid.0.seeds.0: "),
        (HEAD + AXIS + "set = { ratio = [] }", "invalid", "grid.0.set.ratio: "),
        (HEAD + AXIS + "format = 'zip'", "invalid", "grid.0.format: "),
        (HEAD + "[[grid]]\nrecipe = 'wieghts'", "no-such-recipe", "'wieghts'"),
        (HEAD + "[[grid]]\nrecipe = 'reference'", "training-recipe", ""),
        (HEAD + AXIS + "set = { rate = [0.1] }", "no-such-setting", "'rate'"),
        (HEAD + AXIS + "set = { ratio = [0.1, 1.5] }", "invalid", "ratio: "),
        (HEAD + AXIS + "set = { ratio = [0.1], 'weights.ratio' = [0.9] }", "set-twice", "ratio of step 1"),
        (HEAD + AXIS + "format = 'onnx'", "not-8-bit", "unstructured"),
        (HEAD + AXIS + AXIS, "same-name", "'reference-unstructured-seed0'"),
        ("summary = 'x'\ndense = ['reference', 'reference']\n" + AXIS, "same-name", ""),
    ],
)
def test_a_mistake_is_one_line_that_names_the_sweep(tmp_path: Path, text: str, code: str, place: str) -> None:
    path = written(tmp_path, text)
    with refused(f"recipe/{code}", place, "" if code == "no-dense" else str(path)):
        load_sweep(path)


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
    with refused("recipe/no-such-sweep", "'paper-parksin'", "did you mean 'paper-parksim'?"):
        find_sweep("paper-parksin")


class Asked(Exception):
    """A step asked for data."""


def ask() -> Dataset:
    raise Asked


def recipe(method: str, **settings: object) -> Recipe:
    return parse_recipe({"summary": "one step", "steps": [{"method": method, **settings}]}, "one.toml", "one")


def test_a_step_needs_data_exactly_if_it_asks_for_them() -> None:
    model = small_detector()
    detector = {"name": _zoo.SMALL, "arguments": ARGUMENTS}
    manifest = parse_manifest({"name": "dense", "detector": detector, "categories": CATEGORIES}, "dense.pt")
    more = [("filters", {"importance": "taylor"}), ("quantize", {"correct": False})]
    for method, settings in [*((method, {}) for method in plugins.methods.names()), *more]:
        one = recipe(method, **settings)
        asked = False
        try:
            one.steps[0].apply(Subject(copy.deepcopy(model), manifest), Workshop(model, ask))
        except Asked:
            asked = True
        assert one.needs_data == asked, (method, settings)


def test_the_scored_labels_and_images_are_refused(tmp_path: Path) -> None:
    scored, other = herd(tmp_path / "a", images=2), herd(tmp_path / "b", images=2, seed=1)
    check_apart([recipe("quantize")], str(scored), "test", images=None, training=str(other))
    check_apart([recipe("weights")], str(scored), "test", images=None, training=str(scored))
    with refused("dataset/scored-data", "all labels"):
        check_apart([recipe("quantize")], str(scored), "test", images=None, training=str(scored))
    labels = json.loads(scored.read_text())
    labels["images"] = labels["images"][1:]
    labels["annotations"] = [box for box in labels["annotations"] if box["image_id"] != 1]
    part = scored.with_name("part.json")
    part.write_text(json.dumps(labels))
    with refused("dataset/scored-data", "2.png"):
        check_apart([recipe("quantize")], str(scored), "test", images=None, training=str(part))


def test_no_sweep_calibrates_on_parksim_unasked_or_on_what_it_scores(tmp_path: Path) -> None:
    dense_submission(tmp_path / "dense.pt")
    scored = herd(tmp_path / "photos", images=2)
    (tmp_path / "grid.toml").write_text("summary = 'x'\ndense = ['dense.pt']\n[[grid]]\nrecipe = 'int8'\n")
    sweep, out = load_sweep(tmp_path / "grid.toml"), tmp_path / "out"
    with refused("recipe/other-data", "int8.toml", "parksim"):
        run_sweep(sweep, Bench(out, str(scored)))
    with refused("dataset/scored-data", "all labels"):
        run_sweep(sweep, Bench(out, str(scored), training=str(scored)))
    assert not out.exists()
