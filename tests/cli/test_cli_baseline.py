"""`wildbench baseline` as a person uses it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_herd import dense_submission, herd
from made_up_points import point, summary

from wildbench import plugins
from wildbench.cli import main
from wildbench.compression.recipes import bundled_recipes
from wildbench.submissions.archive._archive import read_submission


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dense_submission(tmp_path_factory.mktemp("dense") / "dense.pt")


def say(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run a command in this process, which has torch already; its exit status."""
    monkeypatch.setattr(sys, "argv", ["wildbench", "baseline", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("seed", [-1, 2**32, 2**64])
def test_a_seed_beyond_32_bits_is_refused(
    dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    assert say(monkeypatch, "run", "random", "--from", dense, "-o", tmp_path / "a.pt", "--seed", seed) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "a.pt").exists()


def test_run_tells_bytes_ratio_and_method(dense: Path, tmp_path: Path) -> None:
    arguments = ["baseline", "run", "unstructured", "--from", str(dense), "-o", "small.pt", "--set", "ratio=0.4"]
    command = [sys.executable, "-c", "from wildbench.cli import main; main()", *arguments]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    before, after = dense.stat().st_size, (tmp_path / "small.pt").stat().st_size
    method, size, made = result.stdout.splitlines()
    assert size == f"bytes: {before:,} before, {after:,} after, {before / after:.2f} times smaller"
    assert method == f"method: {read_submission(tmp_path / 'small.pt').manifest.method}"
    assert "weights of backbone zeroed" in method
    assert made == "submission: small.pt"


def test_list_names_every_recipe_and_method(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say(monkeypatch, "list") == 0
    first_cells = {line.split("│")[1].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("│")}
    assert {recipe.name for recipe in bundled_recipes()} | set(plugins.methods.names()) <= first_cells


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "none"), "no recipe 'none'"),
        (("run", "reference"), "a training recipe, without [[steps]]; use: wildbench train"),
        (("run", "unstructured", "--set", "rate=0.4"), "no step takes 'rate'"),
        (("run", "unstructured", "--set", "ratio"), "--set ratio: not a setting; write KEY=VALUE"),
        (("run", "unstructured", "--set", "ratio=2"), "ratio: step 1 (weights): ratio: Input should be less than 1"),
        (("run", "deep-compression", "--set", "epochs=1"), "2 steps take 'epochs'; set one of 3.epochs, 5.epochs"),
        (("run", "unstructured", "--device", "tpu"), "no device 'tpu'"),
    ],
)
def test_a_mistake_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    dense: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    assert say(monkeypatch, *arguments, "--from", dense, "-o", tmp_path / "small.pt") == 2
    captured = capsys.readouterr().err.splitlines()
    assert len(captured) == 1
    assert captured[0].startswith("wildbench: ")
    assert said in captured[0]
    assert not list(tmp_path.iterdir())


def test_a_compression_recipe_does_not_train(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (recipe, *_) = bundled_recipes()
    monkeypatch.setattr(sys, "argv", ["wildbench", "train", recipe.place, "-o", str(tmp_path / "x.pt")])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.rstrip().endswith("use: wildbench baseline run")


def test_results_are_written_from_summaries(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert say(monkeypatch, "results", "--folder", tmp_path) == 2
    assert "no summary of a sweep" in capsys.readouterr().err
    summary(point()).write(tmp_path / "sweeps" / "made-up.json")
    assert say(monkeypatch, "results", "--folder", tmp_path) == 0
    assert (tmp_path / "RESULTS.md").read_text().startswith("# What compression costs\n")
    assert f"written: {tmp_path / 'RESULTS.md'}" in capsys.readouterr().out


def test_a_sweep_without_parents_or_file_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert say(monkeypatch, "sweep", "none", "-o", tmp_path) == 2
    assert say(monkeypatch, "sweep", "paper-wildlife", "-o", tmp_path) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "no sweep 'none'; name a TOML file, or one of " in first
    assert "it names no dense submission; name one by --from" in second


@pytest.mark.slow
def test_a_sweep_s_failures_are_told_and_its_points_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dense: Path, tmp_path: Path
) -> None:
    (tmp_path / "grid.toml").write_text(
        "summary = 'two of a kind'\n[[grid]]\nrecipe = 'units'\n[[grid]]\nrecipe = 'wrong.toml'\n"
    )
    step = "[[steps]]\nmethod = 'quantize'\nscope = 'head'\nkeep = 'head'\n"
    (tmp_path / "wrong.toml").write_text(f"summary = 'nothing is left to round'\n{step}")
    photos, others = herd(tmp_path / "photos", images=2), herd(tmp_path / "others", images=2, seed=1)
    grid, out = tmp_path / "grid.toml", tmp_path / "out"
    data = ("--dataset", photos, "--train-on", others, "--device", "cpu")
    assert say(monkeypatch, "sweep", grid, "-o", out, "--from", dense, *data) == 1
    captured = capsys.readouterr()
    assert "failed: dense-wrong-seed0: " in captured.err
    table = captured.out.partition("summary: ")[0]
    assert "units, seed 0, of dense" in " ".join(
        line.split("│")[1].strip() for line in table.splitlines() if "│" in line
    )
    assert max(map(len, table.splitlines())) <= 100
    assert [one["name"] for one in json.loads((out / "grid.json").read_text())["points"]] == ["dense-units-seed0"]
