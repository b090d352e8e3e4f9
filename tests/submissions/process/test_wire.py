import json
import socket
import struct
import time
from collections.abc import Iterator

import numpy as np
import pytest
from refusals import refused

from wildbench.errors import WrongOutput
from wildbench.submissions.process._wire import (
    MOST_DETECTIONS,
    Detections,
    Garbled,
    check_detections,
    receive,
    receive_detections,
    send,
    send_detections,
)

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def soon() -> float:
    return time.monotonic() + 5


@pytest.mark.parametrize(("count", "masked"), [(0, True), (1, False), (50, True)])
def test_detections_arrive_bit_for_bit(pair: Pair, count: int, masked: bool) -> None:
    random = np.random.default_rng(count)
    sent = Detections(
        random.random((4, count), np.float32).T,  # not contiguous
        random.integers(1, 14, count),
        random.random(count, np.float32),
        random.integers(0, 2, (count, 12, 16), dtype=np.uint8) if masked else None,
        {"forward": 0.25},
        dropped=count,
    )
    send_detections(pair[1], sent)
    found = receive_detections(pair[0], receive(pair[0]), 12, 16, soon())
    for name in ("boxes", "labels", "scores", "masks"):
        np.testing.assert_array_equal(getattr(found, name), getattr(sent, name))
    assert (found.stages, found.dropped) == ({"forward": 0.25}, count)


def test_headers_keep_their_order(pair: Pair) -> None:
    for number in range(5):
        send(pair[1], {"number": number})
    assert [receive(pair[0])["number"] for _ in range(5)] == list(range(5))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (struct.pack("!I", 2**31), "a header of 2147483648 bytes"),
        (b"\x00\x00\x00\x03{]}", "a header that is not JSON"),
        (b"\x00\x00\x00\x02\xff\xfe", "a header that is not JSON"),
        (struct.pack("!I", 100_000) + b"[" * 100_000, "a header that is not JSON"),
        (b"\x00\x00\x00\x02[]", "a header that is not an object"),
    ],
)
def test_a_header_that_is_none_is_refused(pair: Pair, data: bytes, problem: str) -> None:
    pair[1].sendall(data)
    with pytest.raises(Garbled, match=problem):
        receive(pair[0], soon())


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ({}, "None detections"),
        ({"detections": -1, "stages": {}}, "-1 detections"),
        ({"detections": 10**9, "stages": {}}, "1000000000 detections"),
        ({"detections": "3", "stages": {}}, "'3' detections"),
        ({"detections": 1.5, "stages": {}}, "1.5 detections"),
        ({"detections": 0}, "stages that are not seconds"),
        ({"detections": 0, "stages": {"forward": "fast"}}, "stages that are not seconds"),
        ({"detections": 0, "stages": {"forward": float("nan")}}, "stages that are not seconds"),
        ({"detections": 0, "stages": {"forward": -1.0}}, "stages that are not seconds"),
        ({"detections": 0, "stages": {}, "dropped": -1}, "-1 dropped"),
        ({"detections": 0, "stages": {}, "dropped": 0.5}, "0.5 dropped"),
        ({"detections": 0, "stages": {}, "dropped": 2**40}, "1099511627776 dropped"),
    ],
)
def test_nonsense_in_a_header_is_refused_before_memory_is_taken(pair: Pair, header: dict, problem: str) -> None:
    text = json.dumps(header).encode()
    pair[1].sendall(struct.pack("!I", len(text)) + text)
    with pytest.raises(Garbled, match=problem):
        receive_detections(pair[0], receive(pair[0], soon()), 10, 10, soon())


def test_a_closed_channel_is_the_end(pair: Pair) -> None:
    send(pair[1], {"detections": 3, "masks": False, "stages": {}, "dropped": 0})
    pair[1].close()
    header = receive(pair[0])
    with pytest.raises(EOFError):
        receive_detections(pair[0], header, 10, 10, soon())
    with pytest.raises(EOFError):
        receive(pair[0], soon())


def test_a_deadline_holds_even_while_bytes_trickle(pair: Pair) -> None:
    pair[1].sendall(b"\x00\x00")
    with pytest.raises(TimeoutError):
        receive(pair[0], time.monotonic() + 0.05)


def detections(**changes: np.ndarray | None) -> Detections:
    good = {
        "boxes": np.array([[0, 0, 40, 30], [5, 5, 5, 5]], np.float32),
        "labels": np.array([1, 13]),
        "scores": np.array([1, 0], np.float32),
        "masks": np.ones((2, 30, 40), np.uint8),
    }
    return Detections(**(good | changes))  # type: ignore[arg-type]


def boxes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_detections_up_to_the_edges_are_accepted() -> None:
    check_detections(detections(), 13, 30, 40)
    check_detections(detections(masks=None), 13, 30, 40)


def test_no_detections_are_accepted() -> None:
    empty = Detections(np.empty((0, 4), np.float32), np.empty(0, np.int64), np.empty(0, np.float32))
    check_detections(empty, 13, 30, 40)


@pytest.mark.parametrize(
    ("change", "code", "place"),
    [
        ({"boxes": boxes([0, 0, 1, 1], [0, 0, 1, np.nan])}, "invalid-boxes", "boxes[1] = [0.0, 0.0, 1.0, nan]"),
        ({"boxes": boxes([0, 0, 1, 1], [0, 0, 1, np.inf])}, "invalid-boxes", "boxes[1]"),
        ({"scores": np.array([np.nan, 0], np.float32)}, "invalid-scores", "scores[0] = nan"),
        ({"boxes": boxes([9, 0, 8, 1], [0, 0, 1, 1])}, "invalid-boxes", "boxes[0]"),
        ({"boxes": boxes([0, 9, 1, 8], [0, 0, 1, 1])}, "invalid-boxes", "boxes[0]"),
        ({"boxes": boxes([0, 0, 1, 1], [0, 0, 41, 1])}, "invalid-boxes", "boxes[1]"),
        ({"boxes": boxes([0, 0, 1, 1], [0, 0, 1, 31])}, "invalid-boxes", "boxes[1]"),
        ({"boxes": boxes([-1, 0, 1, 1], [0, 0, 1, 1])}, "invalid-boxes", "boxes[0]"),
        ({"labels": np.array([0, 1])}, "invalid-labels", "labels[0] = 0 is outside 1..13"),
        ({"labels": np.array([1, 14])}, "invalid-labels", "labels[1] = 14 is outside 1..13"),
        ({"scores": np.array([0.5, 1.5], np.float32)}, "invalid-scores", "scores[1] = 1.5"),
        ({"scores": np.array([-0.5, 1], np.float32)}, "invalid-scores", "scores[0] = -0.5"),
        ({"boxes": boxes([0, 0, 1, 1])}, "shape", "boxes is float32 [1, 4], not float32 [2, 4]"),
        ({"boxes": np.zeros((2, 4))}, "shape", "boxes is float64"),
        ({"labels": np.array([1, 2], np.int32)}, "shape", "labels is int32"),
        ({"labels": np.array([[1], [2]])}, "shape", "labels is int64 [2, 1]"),
        ({"masks": np.ones((2, 40, 30), np.uint8)}, "shape", "masks is uint8 [2, 40, 30], not uint8 [2, 30, 40]"),
        ({"scores": np.array(1, np.float32)}, "shape", "boxes is"),
    ],
)
def test_each_rule_names_its_violation(change: dict[str, np.ndarray], code: str, place: str) -> None:
    with refused(f"detector/{code}", kind=WrongOutput) as caught:
        check_detections(detections(**change), 13, 30, 40)
    assert caught.value.what.startswith(place)


def test_a_flood_of_detections_is_refused() -> None:
    count = MOST_DETECTIONS + 1
    flood = Detections(np.zeros((count, 4), np.float32), np.ones(count, np.int64), np.zeros(count, np.float32))
    with refused("detector/too-many", kind=WrongOutput):
        check_detections(flood, 13, 30, 40)
