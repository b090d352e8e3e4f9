"""A gate for CI: decided by intervals, told by an exit code."""

import json
from pathlib import Path

import pytest
from commands import Run, runner
from made_up_pair import cards_of
from refusals import refused

from wildbench.pairs.gate import Outcome, judge, read_goals


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A parent; a child that is noisier, one that is a little so, and a twin."""
    folder = tmp_path_factory.mktemp("gate")
    cards_of(folder, parent=0.0, noisy=0.15, little=0.05, twin=0.0)
    return folder


def outcome(folder: Path, name: str, **goals: object) -> Outcome:
    cards = folder / "cards"
    stated = read_goals(**goals)
    return judge(cards / f"{name}.json", cards / "parent.json", stated, dataset=folder / "herd.json", replicates=300)


def test_a_goal_is_decided_by_all_of_its_interval(folder: Path) -> None:
    assert outcome(folder, "noisy", max_false_alarms="1.2x").verdict == "missed"
    assert outcome(folder, "noisy", max_false_alarms="40x").verdict == "met"
    little = outcome(folder, "little", max_false_alarms="1.2x")
    assert little.verdict == "open"
    assert outcome(folder, "twin", max_loss={"ap50": 10, "recall": 10}, max_false_alarms="3").verdict == "met"
    assert outcome(folder, "twin", max_loss={"recall": 0.1}).verdict == "open"  # 80 images cannot show so little


def test_one_missed_goal_fails_and_one_open_goal_leaves_it_open(folder: Path) -> None:
    both = outcome(folder, "noisy", max_loss={"ap50": 0.01}, max_false_alarms="1.2x")
    assert (both.verdict, both.exit_code) == ("missed", 1)
    assert "false alarms" in both.sentence()
    bytes_asked = outcome(folder, "twin", max_loss={"ap": 50}, max_bytes="4MB")  # detections have no file
    assert (bytes_asked.verdict, bytes_asked.exit_code) == ("open", 3)


def test_a_size_is_as_it_is(folder: Path, tmp_path: Path) -> None:
    from wildbench.resources import bundled

    child, parent = (bundled(f"baselines/scorecards/{name}.json") for name in ("reference-tiny", "reference"))
    size = json.loads(child.read_text())["size"]["file_bytes"]["value"]
    for limit, code in ((f"{size}", 0), (f"{size - 1} B", 1), ("1GiB", 0)):
        assert judge(child, parent, read_goals(max_bytes=limit), replicates=100).exit_code == code


def test_goals_come_from_a_file_and_from_options(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    file.write_text('max-bytes = "2.5MB"\nmax-false-alarms = "1.2x"\nthreshold = 0.3\n[max-loss]\nap50 = 1\n')
    goals = read_goals(file, max_false_alarms="2x")
    assert goals.model_dump() == {
        "max_loss": {"ap50": 1},
        "max_false_alarms": 2,
        "max_bytes": 2.5e6,
        "threshold": 0.3,
    }
    for text in ("max-loss = 3", "max-bites = 4", 'max-bytes = "4 parsec"', "threshold = 20", "", "= ="):
        file.write_text(text)
        with refused("recipe/goals"):
            read_goals(file)
    with refused("recipe/goals"):
        read_goals(tmp_path / "none.toml")


def test_its_exit_code_is_the_verdict(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run: Run = runner(monkeypatch, capsys, tmp_path)
    cards = folder / "cards"
    against = ["--against", str(cards / "parent.json"), "--dataset", str(folder / "herd.json")]
    for name, goal, code in (("noisy", "1.2x", 1), ("little", "1.2x", 3), ("twin", "3x", 0)):
        found = run("gate", str(cards / f"{name}.json"), *against, "--max-false-alarms", goal)
        assert found.status == code
        assert name in found.stdout
    assert run("gate", str(cards / "twin.json"), *against).status == 2
