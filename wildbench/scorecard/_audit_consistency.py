"""Whether the audits of a record fit together, and fit its latency: what each is made of is kept as evidence."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from wildbench.scorecard._audit import Audit

if TYPE_CHECKING:
    from wildbench.scorecard._card import Scorecard

UNITS = {
    "images": ("1", {"compared": "1"}),
    "exact-boxes": ("1", {"found": "1"}),
    "processor-time": ("1", {"processor": "s", "wall": "s"}),
    "same-pixels": ("1", {"identical": "images"}),
    "lowest-bits": ("1", {"identical": "images"}),
    "answer-times": ("1", {}),
    "sessions-alike": ("1", {}),
    **dict.fromkeys(
        ("altered-images", "fresh-scenes"),
        (
            "AP",
            dict.fromkeys(("ap_scored", "ap_audited", "pooled_ap_scored", "pooled_ap_audited", "standard_error"), "AP")
            | {"time": "ms"},
        ),
    ),
}
"""Every audit by its name: the units of what is judged and of its evidence."""

UNJUDGED = ("processor-time", "sessions-alike")
"""Audits that may have been measured and tell nothing: on CUDA, and of hardly any detection."""

DRAWN = ("altered-images", "fresh-scenes")
"""Audits with a seed."""


def audit_contradictions(card: Scorecard) -> Iterator[tuple[str, str]]:
    """Where an audit contradicts itself, its own evidence, or the times of the record."""
    for name, times in Counter(audit.name for audit in card.audits).items():
        if times > 1 or name not in UNITS:
            yield f"audits.{name}", "is there twice" if times > 1 else "is none that wildbench makes"
    for audit in (one for one in card.audits if one.name in UNITS):
        for part, what in _wrong(audit):
            yield f"audits.{audit.name}.{part}", what
        unjudged = audit.passed is None and audit.measured is not None and audit.measured.value is not None
        if audit.name == "processor-time" and unjudged and card.latency and card.latency.device == "cpu":
            yield "audits.processor-time.passed", "is null on a processor"
        if audit.name == "processor-time" and card.latency and not card.latency.sessions:
            mean, n = card.latency.mean.value, card.latency.mean.n or 0
            wall = audit.evidence["wall"].value if "wall" in audit.evidence else None
            if wall is None or (mean is not None and not math.isclose(1000 * wall, mean * n, rel_tol=1e-9)):
                yield f"audits.{audit.name}.evidence", "is not the mean of latency times its n"


def _wrong(audit: Audit) -> Iterator[tuple[str, str]]:
    unit, units = UNITS[audit.name]
    value = audit.measured.value if audit.measured else None
    if audit.passed is None and value is not None and audit.name not in UNJUDGED:
        yield "passed", "is null, and something was measured"
    if audit.passed is not None and not audit.evidence and value is None:
        yield "passed", "is said, and nothing was measured"
    if (value is not None and audit.bound is None) or (audit.measured is None and audit.bound is not None):
        yield "bound", "is missing, or there is nothing that it bounds"
    if audit.evidence and audit.evidence.keys() != units.keys():
        yield "evidence", f"is not {', '.join(units)}"
    if (audit.seed is not None) != (audit.name in DRAWN and value is not None):
        yield "seed", "is there where nothing was drawn, or is not there"
    yield from _wrong_figures(audit, {**units, "measured": unit})
    yield from _wrong_evidence(audit, value)


def _wrong_figures(audit: Audit, units: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, figure in (audit.evidence | ({"measured": audit.measured} if audit.measured else {})).items():
        if figure.unit != units.get(name):
            yield name, f"is in {figure.unit!r}"
        if figure.interval is not None or figure.caution is not None:
            yield name, "has an interval or a caution"
        least = -1.0 if name == "measured" and figure.unit == "AP" else 0.0
        if figure.value is not None and (figure.value < least or (figure.unit == "AP" and figure.value > 1)):
            yield name, f"is {figure.value:g}"
        if figure.value is not None and not figure.n:
            yield f"{name}.n", "is missing"


def _wrong_evidence(audit: Audit, value: float | None) -> Iterator[tuple[str, str]]:
    """What is judged is made of the evidence, over the same images."""
    made = {name: figure.value for name, figure in audit.evidence.items() if figure.value is not None}
    measured = audit.measured
    counts = {name: figure.n for name, figure in audit.evidence.items() if not name.endswith(("_scored", "_audited"))}
    if measured and any(n != measured.n for n in counts.values()):
        yield "evidence.*.n", "is not that of what is measured"
    if {"pooled_ap_scored", "pooled_ap_audited"} <= made.keys():
        value_made = made["pooled_ap_scored"] - made["pooled_ap_audited"]
        if value is None or abs(value - value_made) > 1e-9:
            yield "measured", "is not the difference of its evidence"
    if made.get("wall") and (value is None or not math.isclose(value, made["processor"] / made["wall"], rel_tol=1e-9)):
        yield "measured", "is not the quotient of its evidence"
    if measured and made.get("identical", 0) > (measured.n or 0):
        yield "evidence.identical", "is more than was shown"
