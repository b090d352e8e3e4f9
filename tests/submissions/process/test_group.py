"""Control groups, in folders that are laid out as the kernel does."""

import os
from pathlib import Path

import pytest

from wildbench.submissions.process._group import CONTROLLERS, Group, own_group


@pytest.fixture
def delegated(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.subtree_control").write_text("pids")
    return tmp_path


def test_a_group_is_bounded_and_takes_processes(delegated: Path) -> None:
    group = Group.near(delegated)
    assert group
    assert (delegated / "cgroup.subtree_control").read_text() == "+memory"
    assert int((group.place / "memory.max").read_text()) > 2**20
    assert int((group.place / "pids.max").read_text()) == 1024
    assert group.take([os.getpid()])
    assert (group.place / "cgroup.procs").read_text() == str(os.getpid())


def test_one_is_made_beside_where_none_may_be_below(delegated: Path) -> None:
    (delegated / "own").mkdir()
    group = Group.near(delegated / "own")
    assert group
    assert group.place.parent == delegated


@pytest.mark.parametrize("place", [None, Path("/nowhere")])
def test_none_is_made_where_none_is_delegated(place: Path | None) -> None:
    assert Group.near(place) is None


def test_a_group_that_is_gone_takes_nobody(delegated: Path) -> None:
    assert not Group(delegated / "gone").take([os.getpid()])
    Group(delegated / "gone").close()


def test_the_own_group_is_in_the_tree_of_version_2(tmp_path: Path) -> None:
    assert own_group(tmp_path) is None
    (tmp_path / "cgroup.controllers").write_text(" ".join(CONTROLLERS))
    own = own_group(tmp_path)
    assert own is None or own.is_relative_to(tmp_path)
