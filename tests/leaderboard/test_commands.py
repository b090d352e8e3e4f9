"""`wildbench leaderboard` as a person and a CI job use it, with the bundled detectors."""

import contextlib
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import webbrowser
from dataclasses import dataclass
from pathlib import Path

import pytest
from made_up_results import edited, measured_here

from wildbench.cli import main
from wildbench.cli.leaderboard import app
from wildbench.comparison import compare
from wildbench.files import sha256_of
from wildbench.leaderboard import read_board
from wildbench.leaderboard._model import Row
from wildbench.leaderboard._results import KEPT, SUMS, read_results
from wildbench.leaderboard.add import check
from wildbench.leaderboard.verify import verify
from wildbench.resources import bundled

NAMES = ("reference", "reference-tiny")
DOCUMENT = Path(__file__).parents[2] / "docs" / "leaderboard.md"


@dataclass
class Ran:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def leaderboard(*arguments: object, cwd: Path) -> Ran:
    """Run a command in this process, as a user types it."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["wildbench", "leaderboard", *map(str, arguments)]
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            return Ran(int(end.code or 0), out.getvalue(), err.getvalue())
        finally:
            sys.argv = before


@pytest.fixture(scope="module")
def folder(baselines_board: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both cards, their detections, and a board that was built by the commands; one row is added here."""
    folder = tmp_path_factory.mktemp("board")
    shutil.copytree(bundled("baselines/scorecards"), folder / "cards")
    shutil.copytree(baselines_board / "results", folder / "leaderboard" / "results")
    (place,) = (folder / "leaderboard" / "results").glob("reference-tiny-*")
    curves = (place / "curves.json").read_bytes()
    shutil.rmtree(place)
    ran = leaderboard("add", "cards/reference-tiny.json", cwd=folder)
    assert (ran.code, ran.out) == (0, f"added: leaderboard/results/{place.name}\n"), ran.err
    after = {path.name: path.read_bytes() for path in place.iterdir()}
    assert after.keys() == {*KEPT, SUMS}
    assert after["card.json"] == (folder / "cards" / "reference-tiny.json").read_bytes()
    assert after["curves.json"] == curves
    for result in (folder / "leaderboard" / "results").iterdir():
        measured_here(result)
    ran = leaderboard("build", cwd=folder)
    assert ran.code == 0, ran.err
    assert "reference-tiny" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100
    return folder


@pytest.fixture(scope="module")
def rows(folder: Path) -> dict[str, Row]:
    return {row.name: row for row in read_board(folder / "leaderboard" / "leaderboard.json").rows().values()}


def test_a_finding_is_a_line_and_exit_code_2(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "leaderboard", tmp_path / "leaderboard")
    path = tmp_path / "leaderboard" / "leaderboard.json"
    board = json.loads(path.read_text())
    board["sections"][0]["rows"][0]["figures"]["file_bytes"]["value"] = 1.0
    path.write_text(json.dumps(board))
    ran = leaderboard("verify", cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    (line,) = [line for line in ran.err.splitlines() if line.startswith("wildbench: ")]
    assert "figures.file_bytes.value is 1.0, the results give " in line


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


def test_a_size_that_the_submission_does_not_have_is_named(folder: Path, tmp_path: Path) -> None:
    keys = ("nonzero", "bitmask_bytes", "entropy_bytes")
    changes = [(f"size.{key}.value", 12345.0) for key in keys]
    card = edited(folder / "cards" / "reference.json", tmp_path / "card.json", *changes)
    problems = check(card, tmp_path / "board", submissions=bundled("baselines"))
    assert {problem.code for problem in problems} == {"scorecard/figure-differs"}
    assert sorted(problem.what.split(" is ")[0] for problem in problems) == [
        f"{card}: size.{key}.value" for key in sorted(keys)
    ]
    assert check(card, tmp_path / "board") == []  # nobody can tell without the file


def test_a_folder_without_the_submission_is_said_so(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "empty").mkdir()
    arguments = "--board", tmp_path / "new", "--submissions", tmp_path / "empty"
    with caplog.at_level(logging.WARNING):
        assert leaderboard("check", "cards/reference.json", *arguments, cwd=folder).code == 0
    assert caplog.messages == [
        f"wildbench: {tmp_path}/empty: no file in it is one of the submissions: no size was measured again"
    ]


def test_check_says_yes_or_why_not_and_changes_nothing(folder: Path, tmp_path: Path) -> None:
    before = sorted(folder.rglob("*"))
    ran = leaderboard("check", "cards/reference.json", "--board", tmp_path / "new", cwd=folder)
    assert (ran.code, ran.out) == (0, "cards/reference.json: can be added\n")
    ran = leaderboard("check", "cards/reference-tiny.json", cwd=folder)
    assert ran.code == 2
    assert ran.err.startswith("wildbench: cards/reference-tiny.json: ")
    assert len(ran.err.splitlines()) == 1
    assert sorted(folder.rglob("*")) == before
    assert not (tmp_path / "new").exists()


def test_an_export_is_printed_or_written(folder: Path) -> None:
    printed = leaderboard("export", "--to", "latex", cwd=folder)
    assert printed.code == 0, printed.err
    assert printed.out.count("reference-tiny & ") == 1
    written = leaderboard("export", "--to", "csv", "--out", "table.csv", cwd=folder)
    assert (written.code, written.out) == (0, "")
    assert len((folder / "table.csv").read_text().splitlines()) == 3
    (folder / "table.csv").unlink()


def test_open_hands_the_page_to_the_browser_or_says_where_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    page = folder / "leaderboard" / "index.html"
    for answer, out in ((True, ""), (False, f"no browser here: {page}\n")):
        monkeypatch.setattr(webbrowser, "open", lambda url, answer=answer: opened.append(url) or answer)
        ran = leaderboard("open", cwd=folder)
        assert (ran.code, ran.out) == (0, out)
    assert opened == [page.as_uri()] * 2


def test_a_folder_without_results_is_one_line(tmp_path: Path) -> None:
    for verb in ("build", "export --to csv", "open", "verify"):
        ran = leaderboard(*verb.split(), cwd=tmp_path)
        assert ran.code == 2
        assert ran.err.startswith("wildbench: ")
        assert len(ran.err.splitlines()) == 1


def test_the_commands_load_no_torch(folder: Path) -> None:
    """Nor what only some of them need: pandas, the charts' library and the compiler."""
    program = "import sys; from wildbench.cli import main\n"
    program += "try: main()\nfinally: print(sorted({'torch', 'pandas', 'vl_convert', 'numba'} & set(sys.modules)))"
    for verbs, loaded in (("build", "['vl_convert']"), ("export --to csv", "[]"), ("verify", "")):
        command = [sys.executable, "-c", program, "leaderboard", *verbs.split()]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        assert "torch" not in ran.stdout.splitlines()[-1]
        assert not loaded or ran.stdout.splitlines()[-1] == loaded


def test_the_repositorys_own_board_holds(tmp_path: Path) -> None:
    """Its rows are, or reproduce, the baselines as they are committed, and it is what its results give."""
    own = Path(__file__).parents[2] / "leaderboard"
    assert verify(own, submissions=bundled("baselines")) == []
    results = {result.card.submission.name: result for result in read_results(own)}
    for name in NAMES:
        made = results[name].reproduction
        claimed = made.claimed_sha256 if made else results[name].card_sha256
        assert claimed == sha256_of(bundled(f"baselines/scorecards/{name}.json"))


@pytest.mark.slow
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
    edited(submitted / "mine.json", submitted / "mine.json", ("accuracy.mean_iou50.n", 9))
    commit()
    bad = run()
    assert bad.returncode == 2
    assert "accuracy.mean_iou50.n is 9, its detections give" in bad.stderr
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
