"""The order in which images are shown, and what showing some of them again tells."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from wildbench.measures.repetition import MOST_REPEATED, Showing, audit_repetition, difference, order
from wildbench.scorecard import Audit
from wildbench.submissions.process import Answer, Detections

PATHS = [Path(f"{number}.png") for number in range(200)]


def found(place: int, score: float = 0.9) -> Detections:
    """Three boxes that depend on the image."""
    corners = np.arange(3, dtype=np.float32)[:, None] * 40 + place % 7
    boxes = np.hstack([corners, corners, corners + 30, corners + 30])
    return Detections(boxes, np.int64([1, 2, 3]), np.float32([score, 0.5, 0.3]))


def nothing() -> Detections:
    return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))


Detector = Callable[[Showing, int], Answer]


def honest(showing: Showing, _turn: int) -> Answer:
    seconds = np.random.default_rng(showing.place).lognormal(-3, 0.3)
    return Answer(found(showing.place, 0.9 if showing.seed is None else 0.88), seconds)


def audits(detector: Detector, paths: list[Path] = PATHS) -> dict[str, Audit]:
    showings = order(paths)
    return {
        audit.name: audit
        for audit in audit_repetition(showings, [detector(showing, turn) for turn, showing in enumerate(showings)])
    }


@pytest.mark.parametrize(("images", "again"), [(1, 1), (24, 2), (200, MOST_REPEATED), (0, 0)])
def test_each_image_is_scored_once_and_some_are_shown_twice_more_later(images: int, again: int) -> None:
    showings = order(PATHS[:images])
    scored = [showing for showing in showings if showing.scored]
    assert sorted(showing.path for showing in scored) == sorted(PATHS[:images])
    others = [showing for showing in showings if not showing.scored]
    assert len(others) == 2 * again
    assert sum(showing.seed is None for showing in others) == again
    turns = {showing.place: turn for turn, showing in enumerate(showings) if showing.scored}
    assert all(turns[showing.place] < showings.index(showing) for showing in others)


def test_the_order_is_another_each_time() -> None:
    assert [showing.place for showing in order(PATHS)] != [showing.place for showing in order(PATHS)]


def test_lowest_bits_and_sides_are_what_changes() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    plain = Showing(PATHS[0], 0, scored=True)
    assert plain.of(pixels) is pixels
    mirrored, changed = plain.unscored(), Showing(PATHS[0], 0, seed=7)
    assert not mirrored.scored
    for shown, whole in ((mirrored.of(pixels), pixels[:, ::-1]), (changed.of(pixels), pixels)):
        assert set(np.unique(shown ^ whole)) == {0, 1}
        np.testing.assert_array_equal(shown >> 1, whole >> 1)
    np.testing.assert_array_equal(changed.of(pixels), changed.of(pixels))


def test_an_honest_detector_passes() -> None:
    for _ in range(20):
        assert all(audit.passed for audit in audits(honest).values())


def test_one_that_keeps_its_answers_is_too_fast_the_second_time() -> None:
    seen: set[int] = set()

    def keeping(showing: Showing, turn: int) -> Answer:
        known = showing.seed is None and showing.place in seen
        seen.add(showing.place)
        return Answer(found(showing.place), 0.01 if known else honest(showing, turn).seconds)

    assert [name for name, audit in audits(keeping).items() if audit.failed] == ["answer-times"]


def test_a_machine_that_becomes_faster_is_no_detector_that_does() -> None:
    for slow in (0.5, 3.0):
        faster = audits(lambda showing, turn: Answer(found(showing.place), slow if turn < 100 else 1.0))  # noqa: B023
        assert faster["answer-times"].passed


def test_one_that_knows_images_by_their_bits_does_not_know_them_with_others() -> None:
    table = audits(lambda showing, _: Answer(found(showing.place) if showing.seed is None else nothing(), 0.1))
    assert [name for name, audit in table.items() if audit.failed] == ["lowest-bits"]


def test_one_that_counts_its_calls_answers_differently() -> None:
    counting = audits(lambda showing, turn: Answer(found(showing.place, 0.9 - turn / 300), 0.1))
    assert counting["same-pixels"].failed


@pytest.mark.parametrize("answer", [nothing(), found(0, 0.01)])
def test_too_little_tells_nothing(answer: Detections) -> None:
    some = audits(lambda _showing, _turn: Answer(answer, 0.1), PATHS[:1] if len(answer) else PATHS)
    assert some["same-pixels"].passed is (None if not len(answer) else True)
    assert audits(honest, PATHS[:20])["answer-times"].passed is None


def test_differences_are_shares_of_the_scores_of_the_surest() -> None:
    """Of three boxes with scores of 0.9, 0.5 and 0.3 the last one has less than half of the first one's."""
    a, b = found(0), found(0)
    assert difference(a, b, pixels=1, score=0.01) == (0, pytest.approx(2.8))
    b.labels[1] = 9
    assert difference(a, b, pixels=1, score=0.01)[0] == pytest.approx(1.0)
    assert difference(a, nothing(), pixels=None, score=0.25) == (pytest.approx(1.4), pytest.approx(1.4))
    moved = Detections(a.boxes + 4, a.labels, a.scores)
    assert difference(a, moved, pixels=1, score=0.01)[0] == pytest.approx(2.8)
    assert difference(a, moved, pixels=None, score=0.25)[0] == 0
