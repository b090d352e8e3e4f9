"""Whether the shapes of what is counted follow from the size of the input alone, by the graph and without running it.

Then one count stands for every image of that size. What depends on values is followed from node to node: values that
come from the input or from chance, and shapes that come from such values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """One node: its kind, and the names of its inputs and outputs."""

    kind: str
    inputs: Sequence[str]
    outputs: Sequence[str]


@dataclass(frozen=True)
class Shaping:
    """How the operators of a format give their results a shape.

    Attributes:
        by_value: Positions of the inputs whose values tell the shape, by operator. Of others it follows from shapes.
        by_content: Operators whose result has as many values as are found, or that run a body. Those with "::" in
            their name, of which nothing is known, are taken for such.
        of_shape: Operators whose values are the shape of their input.
        of_chance: Operators whose values are drawn.
    """

    by_value: Mapping[str, Collection[int]]
    by_content: frozenset[str]
    of_shape: frozenset[str]
    of_chance: frozenset[str] = field(default=frozenset())


def fixed_shapes(steps: Iterable[Step], inputs: Iterable[str], shaping: Shaping, counted: Collection[str]) -> bool:
    """Whether every counted node has the same shapes whatever the values of the inputs are.

    Args:
        steps: In an order in which they can run.
        inputs: Names of what the graph is given.
        shaping: Of its format.
        counted: Kinds of nodes whose shapes matter.

    Example:
        >>> shaping = Shaping({"Slice": [1]}, frozenset(["NonZero"]), frozenset(["Shape"]))
        >>> cut = [Step("Shape", ["x"], ["s"]), Step("Slice", ["x", "s"], ["y"]), Step("Conv", ["y", "w"], ["z"])]
        >>> fixed_shapes(cut, ["x"], shaping, {"Conv"})
        True
        >>> fixed_shapes([Step("NonZero", ["x"], ["s"]), *cut[1:]], ["x"], shaping, {"Conv"})
        False
    """
    values, shapes = set(inputs), set[str]()
    for step in steps:
        free = any(name in shapes for name in step.inputs)
        told = [step.inputs[at] for at in shaping.by_value.get(step.kind, ()) if at < len(step.inputs)]
        if step.kind in shaping.of_shape:
            values.update(step.outputs if free else ())
            continue
        found = step.kind in shaping.by_content or ("::" in step.kind and step.kind not in counted)
        if found or free or any(name in values for name in told):
            shapes.update(step.outputs)
            if step.kind in counted:
                return False
        if step.kind in shaping.of_chance or any(
            name in values or name in shapes for name in (*step.inputs, *step.outputs)
        ):
            values.update(step.outputs)
    return True
