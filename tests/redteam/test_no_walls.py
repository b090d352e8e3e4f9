"""Where neither Landlock, nor a filter of system calls, nor bubblewrap is: everything works, and says so."""

import sys
from pathlib import Path
from typing import Any

import pytest
from arena import forked

import wildbench
from wildbench.submissions.process import _parent

BARE = (
    "from wildbench.submissions.process import _jail\n"
    "_jail.ARCHITECTURES = {}\n"  # no machine whose system calls are known
    "_jail._raise_landlock = lambda *_: 0\n"
    "_jail._mount_home = lambda *_: False\n"
    "_jail.main()\n"
)


def without_walls(*arguments: object) -> list[str]:
    """The command of the child on a system that has none of them."""
    return [sys.executable, "-P", "-c", BARE, *map(str, arguments)]


@pytest.mark.slow
def test_it_says_where_no_wall_stands(dense: Path, park: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured() -> list[Any]:
        card = wildbench.evaluate(dense, dataset=park, device="cpu")
        isolation = card.environment.isolation
        assert isolation
        noted = [note for note in card.notes if "no-jail" in note]
        return [isolation.level, isolation.not_enforced, bool(noted), card.accuracy.ap.value, card.accuracy.detections]

    with_walls = forked(measured, seconds=60)
    monkeypatch.setattr(_parent, "bubblewrap", lambda: None)
    monkeypatch.setattr(_parent, "command", without_walls)
    without = forked(measured, seconds=60)
    assert with_walls.kind == without.kind == "ended", (with_walls, without)
    level, missing, noted, *scores = without.value
    assert (level, noted) == ("process", True)
    assert {"read", "write", "connect", "signal"} <= set(missing)
    assert scores == with_walls.value[3:]
    refused = forked(lambda: repr(wildbench.evaluate(dense, dataset=park, device="cpu", require_jail=True)))
    assert refused.kind == "refused", refused
