"""What disturbs a block, and sessions on a simulated machine."""

import pytest

from studies.latency.simulator import PLAN, SCENARIOS, Machine, Scenario, measure
from wildbench.measures.latency import Facts, disturbance, quantile_of, take_session

QUIET = Facts(2, busy=0.0, own=0.0, stolen=0.0, waited=0.0, throttled=0.0, heat=0, clock=3000.0, others=0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"busy": 1.09, "own": 1.0}, None),
        ({"busy": 1.2, "own": 1.0}, "other processes"),
        ({"waited": 0.06}, "waiting for a processor"),
        ({"stolen": 0.05}, "the hypervisor"),
        ({"throttled": 0.001}, "the control group's quota"),
        ({"heat": 1}, "throttling for heat or power"),
        ({"slowed": True}, "throttling for heat or power"),
        ({"clock": 2600.0}, "a lower clock"),
        ({"others": 1}, "another process on the accelerator"),
        ({"busy": None, "waited": None, "clock": None, "heat": None}, None),
    ],
)
def test_each_account_disturbs_a_block_by_itself(change: dict[str, float], reason: str | None) -> None:
    after = Facts(**{**vars(QUIET), **change})
    assert disturbance(QUIET, after, 1.0, threads=1, highest=3000.0) == reason


def session_of(scenario: Scenario, seed: int = 0):  # noqa: ANN201
    machine = Machine(scenario, seed)
    return take_session(machine, machine.call, machine.reference, PLAN)


def test_a_quiet_machine_loses_next_to_nothing() -> None:
    sessions = [session_of(Scenario("quiet"), seed) for seed in range(20)]
    assert all(session.quiet for session in sessions)
    assert sum(sum(session.discarded.values()) for session in sessions) <= 0.01 * sum(s.kept for s in sessions)
    assert all(len(session.references) == session.kept for session in sessions)


def test_what_is_throttled_is_taken_again() -> None:
    session = session_of(Scenario("hot", throttled=True, call=0.001))
    assert session.discarded["throttling for heat or power"] > 0
    assert session.quiet
    assert max(session.times) < 1.2 * min(session.times)
    assert session.places != list(range(len(session.times)))


def test_beside_a_neighbour_there_is_no_figure() -> None:
    for seed in range(5):
        outcome = measure(Scenario("loud", neighbour=1.0), seed)
        assert quantile_of([one.times for one in outcome.sessions if one.quiet], 0.5).value is None
        assert outcome.passed < PLAN.longest + 5


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_no_run_takes_longer_than_the_cap(scenario: Scenario) -> None:
    assert measure(scenario, 0).passed < PLAN.longest + 5
