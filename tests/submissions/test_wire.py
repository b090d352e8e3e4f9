import json
import socket
import struct
import time
from collections.abc import Iterator

import numpy as np
import pytest

from wildbench.submissions.process._detections import Detections
from wildbench.submissions.process._wire import Garbled, receive, receive_detections, send, send_detections

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def soon() -> float:
    return time.monotonic() + 5


@pytest.mark.parametrize("count", [0, 1, 50])
@pytest.mark.parametrize("masked", [False, True])
def test_detections_arrive_bit_for_bit(pair: Pair, count: int, masked: bool) -> None:
    random = np.random.default_rng(count)
    sent = Detections(
        random.random((4, count), np.float32).T,  # not contiguous
        random.integers(1, 14, count),
        random.random(count, np.float32),
        random.integers(0, 2, (count, 12, 16), dtype=np.uint8) if masked else None,
        {"forward": 0.25},
    )
    send_detections(pair[1], sent)
    found = receive_detections(pair[0], receive(pair[0]), 12, 16, soon())
    for name in ("boxes", "labels", "scores", "masks"):
        np.testing.assert_array_equal(getattr(found, name), getattr(sent, name))
    assert found.stages == {"forward": 0.25}


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
        (b"\x00\x00\x00\x02[]", "a header that is no object"),
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
    ],
)
def test_nonsense_in_a_header_is_refused_before_memory_is_taken(pair: Pair, header: dict, problem: str) -> None:
    text = json.dumps(header).encode()
    pair[1].sendall(struct.pack("!I", len(text)) + text)
    with pytest.raises(Garbled, match=problem):
        receive_detections(pair[0], receive(pair[0], soon()), 10, 10, soon())


def test_a_closed_channel_is_the_end(pair: Pair) -> None:
    send(pair[1], {"detections": 3, "masks": False, "stages": {}})
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
