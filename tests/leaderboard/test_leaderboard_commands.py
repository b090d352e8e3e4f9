"""`wildbench leaderboard` as a person and a CI job use it, with the bundled detectors."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_results import edited

from wildbench.cli.leaderboard import app
from wildbench.comparison import compare
from wildbench.leaderboard.add import check
from wildbench.leaderboard.board._model import Row, read_board
from wildbench.leaderboard.verify import verify
from wildbench.resources import bundled

NAMES = ("reference", "reference-tiny")
DOCUMENT = Path(__file__).parents[2] / "docs" / "leaderboard.md"


def leaderboard(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from wildbench.cli import main; main()", "leaderboard", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment or None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both cards, their detections, and a board that was built by the commands."""
    folder = tmp_path_factory.mktemp("board")
    shutil.copytree(bundled("baselines/scorecards"), folder / "cards")
    for name in NAMES:
        result = leaderboard("add", f"cards/{name}.json", cwd=folder)
        assert result.returncode == 0, result.stderr
        assert result.stdout.startswith(f"added: leaderboard/results/{name}-")
    result = leaderboard("build", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "reference-tiny" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    return folder


@pytest.fixture(scope="module")
def rows(folder: Path) -> dict[str, Row]:
    return {row.name: row for row in read_board(folder / "leaderboard" / "leaderboard.json").rows().values()}


def test_it_verifies_with_the_submissions(folder: Path) -> None:
    result = leaderboard("verify", "--submissions", bundled("baselines"), cwd=folder)
    assert (result.returncode, result.stdout.count("\n")) == (0, 1), result.stderr
    assert "every row is what its detections give" in result.stdout


def test_a_finding_is_a_line_and_exit_code_2(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "leaderboard", tmp_path / "leaderboard")
    path = tmp_path / "leaderboard" / "leaderboard.json"
    board = json.loads(path.read_text())
    board["sections"][0]["rows"][0]["size"]["file_bytes"]["value"] = 1.0
    path.write_text(json.dumps(board))
    result = leaderboard("verify", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("wildbench: ")]
    assert "size.file_bytes.value is 1.0, the results give " in line


def test_the_loss_is_what_compare_says(folder: Path, rows: dict[str, Row]) -> None:
    change = compare([folder / "cards" / f"{name}.json" for name in NAMES]).rows[0].overall["ap"]
    loss = rows["reference-tiny"].parent
    assert loss is not None
    assert loss.name == "reference"
    assert loss.ap.value == pytest.approx(change.difference, abs=1e-9)
    assert loss.ap.interval == pytest.approx(change.interval, abs=2e-6)
    ranks = {row.standing.rank for row in rows.values() if row.standing}
    low, high = change.interval or (0, 0)
    assert (ranks == {1}) == (low <= 0 <= high)


@pytest.mark.parametrize("key", ["file_bytes", "parameters", "nonzero", "dense_fp32_bytes"])
def test_a_size_that_the_submission_does_not_have_is_named(key: str, folder: Path, tmp_path: Path) -> None:
    card = edited(folder / "cards" / "reference.json", tmp_path / "card.json", (f"size.{key}.value", 12345.0))
    (line,) = check(card, tmp_path / "board", submissions=bundled("baselines"))
    assert line.startswith(f"{card}: size.{key}.value is 12345.0, its submission gives ")
    assert check(card, tmp_path / "board") == []  # nobody can tell without the file


def test_a_folder_without_the_submission_is_said_so(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    told = "empty: no file in it has the hash of a submission that is looked at: no size was measured again\n"
    arguments = "--submissions", tmp_path / "empty"
    verified = leaderboard("verify", *arguments, cwd=folder)
    assert verified.returncode == 0
    assert verified.stderr.endswith(told)
    checked = leaderboard("check", "cards/reference.json", "--board", tmp_path / "new", *arguments, cwd=folder)
    assert (checked.returncode, checked.stderr) == (0, f"wildbench: {tmp_path}/{told}")


def test_check_says_yes_or_why_not_and_changes_nothing(folder: Path, tmp_path: Path) -> None:
    before = sorted(folder.rglob("*"))
    result = leaderboard("check", "cards/reference.json", "--board", tmp_path / "new", cwd=folder)
    assert (result.returncode, result.stdout) == (0, "cards/reference.json: can be added\n")
    result = leaderboard("check", "cards/reference.json", cwd=folder)
    assert result.returncode == 2
    assert result.stderr.startswith("wildbench: cards/reference.json: its submission is on the board for parksim test")
    assert len(result.stderr.splitlines()) == 1
    assert sorted(folder.rglob("*")) == before
    assert not (tmp_path / "new").exists()


def test_an_export_is_printed_or_written(folder: Path) -> None:
    printed = leaderboard("export", "--to", "latex", cwd=folder)
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.count("reference-tiny & ") == 1
    written = leaderboard("export", "--to", "csv", "--out", "table.csv", cwd=folder)
    assert (written.returncode, written.stdout) == (0, "")
    assert len((folder / "table.csv").read_text().splitlines()) == 3
    (folder / "table.csv").unlink()


def test_open_tells_where_the_page_is_without_a_browser(folder: Path, tmp_path: Path) -> None:
    result = leaderboard("open", cwd=folder, PATH=str(tmp_path))
    assert (result.returncode, result.stdout) == (0, f"no browser here: {folder / 'leaderboard' / 'index.html'}\n")


def test_open_hands_the_page_to_the_browser(folder: Path, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    result = leaderboard("open", cwd=folder, PATH="/usr/bin:/bin", BROWSER=str(browser))
    assert (result.returncode, result.stdout) == (0, "")
    assert (tmp_path / "opened").read_text().strip() == (folder / "leaderboard" / "index.html").as_uri()


@pytest.mark.parametrize("verb", ["build", "export", "open", "verify"])
def test_a_folder_without_results_is_one_line(verb: str, tmp_path: Path) -> None:
    result = leaderboard(verb, *(["--to", "csv"] if verb == "export" else []), cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("wildbench: ")
    assert len(result.stderr.splitlines()) == 1


def test_the_repositorys_own_board_holds(tmp_path: Path) -> None:
    """Its rows are the baselines as they are committed, and it is what its results give."""
    own = Path(__file__).parents[2] / "leaderboard"
    assert verify(own, submissions=bundled("baselines")) == []
    rows = {row.name: row for row in read_board(own / "leaderboard.json").rows().values()}
    for name in NAMES:
        card = (own / "results" / rows[name].id / "card.json").read_bytes()
        assert card == bundled(f"baselines/scorecards/{name}.json").read_bytes()


def test_what_the_document_tells_a_maintainer_s_ci_to_run_does_run(folder: Path, tmp_path: Path) -> None:
    """In a clone whose main branch has one result, with a pull request of the other."""
    blocks = re.findall(r"```\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)
    (script,) = [block for block in blocks if block.startswith("set -eu")]
    clone = tmp_path / "clone"
    clone.mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "bin" / "wildbench").write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(DOCUMENT.parents[1])!r})\n"
        "from wildbench.cli import main\nmain()\n"
    )
    (tmp_path / "bin" / "wildbench").chmod(0o755)
    shutil.copytree(folder / "leaderboard", clone / "leaderboard")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]

    def commit() -> None:
        for command in (["add", "-A"], ["commit", "-qm", "change"]):
            subprocess.run([*git, *command], cwd=clone, check=True)

    subprocess.run([*git, "init", "-q"], cwd=clone, check=True)
    commit()
    subprocess.run([*git, "update-ref", "refs/remotes/origin/main", "HEAD"], cwd=clone, check=True)
    submitted = clone / "leaderboard" / "submitted"
    submitted.mkdir()
    new = ("submission.name", "mine"), ("submission.sha256", "5" * 64)
    edited(folder / "cards" / "reference.json", submitted / "mine.json", *new)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["bash", "-c", script], cwd=clone, capture_output=True, text=True, env=environment)

    commit()
    good = run()
    assert good.returncode == 0, good.stderr
    assert "leaderboard/submitted/mine.json: can be added" in good.stdout
    edited(submitted / "mine.json", submitted / "mine.json", ("accuracy.ap.value", 0.9))
    commit()
    bad = run()
    assert bad.returncode == 2
    assert "accuracy.ap.value is 0.9, its detections give" in bad.stderr
    shutil.rmtree(submitted)
    commit()
    empty = run()
    assert (empty.returncode, empty.stdout.count("\n")) == (0, 1), empty.stderr
    (clone / "leaderboard" / "index.html").write_text("mine")
    commit()
    other = run()
    assert other.returncode == 2
    assert other.stderr == "a submission changes nothing else: leaderboard/index.html\n"


def test_every_verb_that_the_document_names_exists() -> None:
    named = set(re.findall(r"wildbench leaderboard (\w+)", DOCUMENT.read_text(encoding="utf-8")))
    assert named == {command.name or command.callback.__name__ for command in app.registered_commands}
