"""The study of the protocol of latency: what it counts, and what it calls broken."""

from typer.testing import CliRunner

from studies.latency.__main__ import app, broken, tally
from studies.latency.simulator import Scenario, measure, truth


def test_a_few_runs_of_a_quiet_machine_keep_every_promise() -> None:
    scenario = Scenario("stationary")
    one = tally(scenario, [measure(scenario, seed) for seed in range(8)])
    assert (one.runs, one.refused, one.modes) == (8, 0, 0)
    assert one.held[0.5][1] == 8
    assert one.sessions >= 8
    assert one.whole <= 65
    assert broken(scenario, one) == []


def test_a_figure_beside_a_neighbour_is_a_broken_promise() -> None:
    quiet = Scenario("quiet", refused=True)
    assert broken(quiet, tally(quiet, [measure(quiet, 0)]))


def test_truth_is_of_a_typical_session() -> None:
    assert abs(truth(Scenario("one"), 0.5) - 0.05) < 1e-4


def test_the_command_writes_its_table(tmp_path) -> None:  # noqa: ANN001
    result = CliRunner().invoke(app, ["--runs", "1", "--out", str(tmp_path / "t.md")])
    assert result.exit_code == 0
    assert (tmp_path / "t.md").read_text().count("\n") == 12
