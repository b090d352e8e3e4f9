"""The registries of what wildbench can be extended with."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from wildbench import plugins
from wildbench.errors import PluginError
from wildbench.plugins import Registry


def registry(*installed: EntryPoint) -> Registry:
    """A registry with one name of its own, and installed packages."""
    made = Registry("codec", "tests.codecs", {"plain": "json:dumps"})
    by_name: dict[str, list[EntryPoint]] = {}
    for point in installed:
        by_name.setdefault(point.name, []).append(point)
    made.__dict__["_installed"] = by_name
    return made


def test_a_name_is_imported_when_it_is_asked_for() -> None:
    import json

    assert registry().get("plain") is json.dumps


def test_an_entry_point_is_found_without_any_registration() -> None:
    import math

    made = registry(EntryPoint("root", "math:sqrt", "tests.codecs"))
    assert made.get("root") is math.sqrt
    assert made.names() == ("plain", "root")
    assert "root" in made


@pytest.mark.parametrize(
    "installed",
    [("plain", "math:sqrt"), ("twice", "math:sqrt")],
)
def test_two_of_one_name_are_refused(installed: tuple[str, str]) -> None:
    points = [EntryPoint(*installed, "tests.codecs")] * 2
    with pytest.raises(PluginError) as error:
        registry(*points).get(installed[0])
    assert error.value.code == "plugin/collision"


def test_a_registered_object_stands_for_itself_and_its_name_is_taken() -> None:
    made = registry()
    made.register("mine", len)
    assert made.get("mine") is len
    with pytest.raises(PluginError) as error:
        made.register("plain", len)
    assert error.value.code == "plugin/taken"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(PluginError) as error:
        registry().get("plian")
    assert error.value.code == "plugin/unknown"
    assert "plain" in error.value.remedy


@pytest.mark.parametrize("kind", ["formats", "detectors", "methods", "datasets", "measures"])
def test_every_name_of_wildbench_itself_can_be_imported(kind: str) -> None:
    own: Registry = getattr(plugins, kind)
    assert own.all().keys() == set(own.names())
