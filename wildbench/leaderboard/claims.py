"""What a card states that needs no measuring: whether it can be printed, and the rules it was made under."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from wildbench.datasets.coco import Dataset
from wildbench.scorecard import Protocol, Scorecard

_HASH = re.compile(r"[0-9a-f]{64}")


def wrong_claims(card: Scorecard) -> list[str]:
    """Texts that cannot be printed, hashes that are none, and another protocol than this wildbench's, a line each.

    Characters that steer a terminal or turn the direction of a text are taken nowhere in a card: names of categories,
    of processors and of files end up in the same tables.

    Args:
        card: What is claimed.
    """
    found = list(_wrong_texts("", card.model_dump(mode="json")))
    if not card.submission.name.strip():
        found.append("submission.name: a name of blanks cannot be printed; name it in plain characters")
    rules = Protocol(engine=card.protocol.engine, trusted=card.protocol.trusted)
    for name, here in rules:
        if getattr(card.protocol, name) != here:
            claimed = getattr(card.protocol, name)
            found.append(f"protocol.{name} is {shortened(claimed)}, here it is {here}; score it with this wildbench")
    return found


def wrong_categories(card: Scorecard, data: Dataset, results: list[dict[str, Any]]) -> list[str]:
    """Categories that a card says its detector does not know, and that it has detected, a line each.

    They are not in its means: whoever leaves out the categories it is bad at looks better.

    Args:
        card: What is claimed.
        data: What it was scored on.
        results: Its detections.
    """
    names = {entry["id"]: entry["name"] for entry in data.categories}
    found = {names[result["category_id"]] for result in results}
    return [
        f"accuracy.unknown_categories holds {name}, which its detections hold too; score them again"
        for name in sorted(found.intersection(card.accuracy.unknown_categories))
    ]


def shortened(value: object) -> str:
    """A value as a message shows it: at most 60 characters, each of which can be printed."""
    text = repr(value) if isinstance(value, (float, str)) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _wrong_texts(place: str, value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            if not key.isprintable():
                yield f"{place}: the name {shortened(key)} in it cannot be printed; use plain characters"
            yield from _wrong_texts(f"{place}.{key}".lstrip("."), one)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _wrong_texts(f"{place}.{number}", one)
    elif isinstance(value, str):
        key = place.rpartition(".")[2]
        if not value.isprintable():
            yield f"{place}: {shortened(value)} cannot be printed; use plain characters"
        elif (key == "parent" or key.endswith("sha256")) and not _HASH.fullmatch(value):
            yield f"{place}: {shortened(value)} is no SHA-256, which is 64 digits of 0-9 and a-f"
