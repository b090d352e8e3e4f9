"""A control group around all processes of a detector, where this process may make one (version 2, delegated)."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Self

CONTROLLERS = {"memory", "pids"}

MOST_PROCESSES = 1024
"""And threads; more is no detector's."""


class Group:
    """A group of processes whose memory and number are bounded together, which no limit of a single process does."""

    def __init__(self, place: Path) -> None:
        self.place = place

    @classmethod
    def near(cls, own: Path | None) -> Self | None:
        """A new group below another or beside it; None where neither is allowed, or there is none.

        Below, it is only where no process is in the other group itself; beside, where the group above was delegated.

        Args:
            own: Folder of the other group, such as that of this process: `own_group()`.
        """
        for above in () if own is None else (own, own.parent):
            place = above / f"wildbench-{secrets.token_hex(8)}"
            try:
                missing = CONTROLLERS - set((above / "cgroup.subtree_control").read_text().split())
                if missing:
                    (above / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(missing)))
                place.mkdir()
                (place / "memory.max").write_text(str(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))
                (place / "pids.max").write_text(str(MOST_PROCESSES))
            except OSError:
                with contextlib.suppress(OSError):
                    place.rmdir()
            else:
                return cls(place)
        return None

    def take(self, processes: Iterable[int]) -> bool:
        """Put processes into it, and so whatever they start; False where one stayed outside."""
        try:
            for number in processes:
                (self.place / "cgroup.procs").write_text(str(number))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Remove it, once its processes have ended."""
        with contextlib.suppress(OSError):
            self.place.rmdir()


def own_group(root: Path = Path("/sys/fs/cgroup")) -> Path | None:
    """Folder of the group of this process; None without groups of version 2."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::") and (root / "cgroup.controllers").exists():
                return root / line[3:].lstrip("/")
    return None
