"""What two manifests of one file contradict each other in."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Sequence
from typing import Any

from wildbench.submissions.formats import Signature
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.output import DescribedOutput, Part

INPUT = {"resize", "size", "shortest_edge", "longest_edge", "channels", "scale", "mean", "std"}
OPEN = {"size"}
"""Left to the file where it is null."""

OUTPUT = {"boxes": 4, "scores": 1, "objectness": 1, "labels": 1}
"""Parts of an output, with their columns; scores without labels have one for each category."""


def contradictions(
    manifest: Manifest, where: str, other: Manifest, place: str, signature: Signature | None
) -> Iterator[str]:
    """One note, if they differ in what decides which boxes come out; thresholds and names are free.

    Args:
        manifest: The manifest that counts.
        where: Where it stands, for people.
        other: Another one, of the same file.
        place: Where that stands.
        signature: The inputs and outputs of the file.
    """
    differences = list(_differences("", _decisive(manifest, signature), _decisive(other, signature)))
    if other.output.kind == "torchvision":  # read from names that do not say whether labels begin with 0
        differences = [one for one in differences if one[0] != "output.labels.first"]
    if differences:
        said = "; ".join(f"{key} is {_brief(one)}, there {_brief(another)}" for key, one, another in differences[:3])
        more = f"; and {len(differences) - 3} more" if len(differences) > 3 else ""
        yield f"warning manifest-contradiction: manifest {where}, against {place}: {said}{more}"


def _decisive(manifest: Manifest, signature: Signature | None) -> dict[str, Any]:
    """What decides which boxes come out, said in one way: outputs by name, columns by their numbers."""
    names = [port.name for port in signature.outputs] if signature else []
    contract = manifest.output.described(names)
    told = manifest.input.model_dump(mode="json", include=INPUT)
    told = {key: value for key, value in told.items() if value is not None or key not in OPEN}
    if manifest.input.dtype == "uint8" or (signature and signature.image and signature.image.dtype == "uint8"):
        del told["scale"]  # grey levels, whatever they are called
    return {
        "categories": dict(enumerate(manifest.categories, 1)),
        "input": told,
        "output": {key: _part(getattr(contract, key), key, contract, manifest, names) for key in OUTPUT},
    }


def _part(
    part: Part | None, key: str, contract: DescribedOutput, manifest: Manifest, names: Sequence[str]
) -> dict[str, Any] | None:
    if part is None:
        return None
    width = OUTPUT[key]
    if key == "scores" and contract.labels is None:
        width = len(manifest.categories) + (contract.scores.background != "none")
    first = part.columns[0] if part.columns else 0
    known = dict(enumerate(names))
    outputs = [known.get(name, name) if isinstance(name, int) else name for name in part.references]
    columns = [first, first + width]
    said = part.model_dump(mode="json", exclude={"clipped"})
    return said | {"output": outputs[0] if len(outputs) == 1 else outputs, "columns": columns}


def _differences(key: str, stated: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401 - JSON values
    """Where two documents say different things; a key that one of them lacks is open."""
    if isinstance(stated, dict) and isinstance(other, dict):
        for name in [name for name in other if name in stated]:
            yield from _differences(f"{key}.{name}".strip("."), stated[name], other[name])
        if key == "categories" and len(stated) != len(other):
            yield "the number of categories", len(stated), len(other)
    elif stated != other:
        yield key, stated, other


def _brief(value: Any) -> str:  # noqa: ANN401 - JSON values
    return "none" if value is None else reprlib.repr(value)
