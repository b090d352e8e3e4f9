"""`wildbench baseline` as a person uses it."""

import json
from pathlib import Path

import pytest
from commands import Run
from made_up_herd import dense_submission, herd

from wildbench import plugins
from wildbench.compression.recipes import bundled_recipes
from wildbench.submissions.archive._archive import read_submission


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dense_submission(tmp_path_factory.mktemp("dense") / "dense.pt")


def test_a_seed_beyond_32_bits_is_refused(run: Run, dense: Path, tmp_path: Path) -> None:
    for seed in (-1, 2**32):
        result = run("baseline", "run", "random", "--from", dense, "-o", "a.pt", "--seed", seed)
        assert (result.status, "Traceback" in result.stderr) == (2, False)
    assert not (tmp_path / "a.pt").exists()


def test_run_tells_bytes_ratio_and_method(run: Run, dense: Path, tmp_path: Path) -> None:
    result = run("baseline", "run", "unstructured", "--from", dense, "-o", "small.pt", "--set", "ratio=0.4")
    assert result.status == 0, result.stderr
    before, after = dense.stat().st_size, (tmp_path / "small.pt").stat().st_size
    method, size, made = result.stdout.splitlines()
    assert size == f"bytes: {before:,} before, {after:,} after, {before / after:.2f} times smaller"
    assert method == f"method: {read_submission(tmp_path / 'small.pt').manifest.method}"
    assert "weights of backbone zeroed" in method
    assert made == "submission: small.pt"


def test_list_names_every_recipe_and_method(run: Run) -> None:
    result = run("baseline", "list")
    assert result.status == 0
    first_cells = {line.split("│")[1].strip() for line in result.stdout.splitlines() if line.startswith("│")}
    assert {recipe.name for recipe in bundled_recipes()} | set(plugins.methods.names()) <= first_cells


MISTAKES: dict[tuple[str, ...], str] = {
    ("none",): "'none'",
    ("reference",): "wildbench train",
    ("unstructured", "--set", "rate=0.4"): "'rate'",
    ("unstructured", "--set", "ratio"): "KEY=VALUE",
    ("unstructured", "--set", "ratio=2"): "ratio: Input should be less than 1",
    ("deep-compression", "--set", "epochs=1"): "3.epochs",
    ("unstructured", "--device", "tpu"): "'tpu'",
}


def test_a_mistake_is_one_line(run: Run, dense: Path, tmp_path: Path) -> None:
    for arguments, part in MISTAKES.items():
        result = run("baseline", "run", *arguments, "--from", dense, "-o", "small.pt")
        result.refused(part)
        assert len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_compression_recipe_does_not_train(run: Run) -> None:
    (recipe, *_) = bundled_recipes()
    run("train", recipe.place, "-o", "x.pt").refused("wildbench baseline run")


def test_a_sweep_without_parents_or_file_is_one_line(run: Run) -> None:
    run("baseline", "sweep", "none", "-o", ".").refused("'none'")
    run("baseline", "sweep", "paper-wildlife", "-o", ".").refused("--from")


@pytest.mark.slow
def test_a_sweep_s_failures_are_told_and_its_points_kept(run: Run, dense: Path, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(
        "summary = 'two of a kind'\n[[grid]]\nrecipe = 'units'\n[[grid]]\nrecipe = 'wrong.toml'\n"
    )
    step = "[[steps]]\nmethod = 'quantize'\nscope = 'head'\nkeep = 'head'\n"
    (tmp_path / "wrong.toml").write_text(f"summary = 'nothing is left to round'\n{step}")
    photos, others = herd(tmp_path / "photos", images=2), herd(tmp_path / "others", images=2, seed=1)
    grid, out = tmp_path / "grid.toml", tmp_path / "out"
    data = ("--dataset", photos, "--train-on", others, "--device", "cpu")
    result = run("baseline", "sweep", grid, "-o", out, "--from", dense, *data)
    assert result.status == 1
    assert "failed: dense-wrong-seed0: " in result.stderr
    table = result.stdout.partition("summary: ")[0]
    assert "units, seed 0, of dense" in " ".join(
        line.split("│")[1].strip() for line in table.splitlines() if "│" in line
    )
    assert max(map(len, table.splitlines())) <= 100
    assert [one["name"] for one in json.loads((out / "grid.json").read_text())["points"]] == ["dense-units-seed0"]
