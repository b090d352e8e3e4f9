"""Where a compressed network goes wrong: how far each layer's answer is from the dense network's, on real images.

Noise runs through a network from layer to layer, so what a layer answers is not yet what it does wrong. Here each is
judged by the noise it adds: the share of noise in the power of what it answers, less that in the worst of what it was
given. The share is taken channel by channel, because scores beside coordinates are lost without a trace in the power of
both; and it is bounded, so that what comes after a network has broken is not blamed for more than what broke it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from wildbench.datasets.coco import Dataset, Floats, Ints
from wildbench.datasets.images import decode
from wildbench.errors import SubmissionError
from wildbench.files import check_writable, write_atomically
from wildbench.measures.signals import Sampled, Signal, signals_of
from wildbench.measures.uncertainty import Interval, replay
from wildbench.pairs.agreement import photographs
from wildbench.pictures import VEGA_LITE, svg
from wildbench.progress import Progress, silent
from wildbench.scorecard import Record
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.process import Sandbox

FORMAT_VERSION = 1
"""Of a written explanation."""

IMAGES = 8
"""That are looked at, unless another number is asked for."""

MOST_OF_IT = 0.8
"""Share of the added noise that the layers to leave in float make up."""

ACTIVATIONS = {"Relu", "Clip", "HardSwish", "LeakyRelu"}
"""Operators that a quantizer takes into the layer before them."""

MULTIPLYING = {"Conv", "ConvTranspose", "Gemm", "MatMul", "Conv2d", "ConvTranspose2d", "Linear"}


class LayerNoise(Record):
    """One layer of the compressed network beside the dense one's."""

    name: str = Field(description="Of its output in the dense network, or of its module.")
    node: str = Field(description="What a quantizer calls it, to leave it in float.")
    operator: str
    snr: float | None = Field(description="Signal over noise of what it answers, in dB; null where it is exact.")
    snr_interval: Interval | None = Field(description="95 % interval over the images.")
    noise: float = Field(description="Share of noise in a channel's power around its mean, mean over channels: 0..1.")
    noise_given: float = Field(description="The same of the worst of what it is given.")
    added: float = Field(description="noise less noise_given, and not below 0.")
    rounding: float = Field(description="Of what is added, what comes from rounding its answer, not from its weights.")
    takers: list[str] = Field(description="Nodes that are given its answer: it stays rounded unless they are in float.")
    share: float = Field(description="Of all noise that is added.")
    clipped: float = Field(
        description="Share of its values at the end of their range, beyond the dense network's share."
    )
    channels: int
    dead: int = Field(description="Channels that are one value in every image, and are not in the dense network.")


class Explanation(Record):
    """A compressed network beside the dense one it was made from, layer by layer."""

    format_version: int = FORMAT_VERSION
    wildbench: str
    dense: str
    dense_sha256: str
    compressed: str
    compressed_sha256: str
    images: int
    matched_by: str = Field(description="How layers were paired: by names, or by order.")
    unmatched: int = Field(description="Layers of the dense network without a counterpart.")
    layers: list[LayerNoise] = Field(description="In the order in which they run.")
    leave_in_float: list[str] = Field(description="Nodes that add most of the noise, the worst first.")

    def ranked(self) -> list[LayerNoise]:
        """The layers, those that add most noise first."""
        return sorted(self.layers, key=lambda one: -one.added)

    def chart(self) -> dict[str, Any]:
        """Signal over noise along the network, in Vega-Lite; a layer is as large as what it adds."""
        worst = set(self.leave_in_float)
        rows = [
            {
                "place": place,
                "layer": one.name,
                "operator": one.operator,
                "snr": one.snr,
                "low": (one.snr_interval or (None, None))[0],
                "high": (one.snr_interval or (None, None))[1],
                "share": one.share,
                "kind": "leave in float" if one.node in worst else "other layers",
            }
            for place, one in enumerate(self.layers)
        ]
        x = {"field": "place", "type": "quantitative", "title": "layer, in the order in which they run"}
        y = {"field": "snr", "type": "quantitative", "title": "signal over noise, dB"}
        colour = {"field": "kind", "type": "nominal", "title": None, "scale": {"range": ["#d62728", "#7f7f7f"]}}
        size = {"field": "share", "type": "quantitative", "title": "share of the added noise"}
        ends = {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}, "color": colour}
        label = {"mark": {"type": "text", "align": "left", "dx": 7}, "transform": [{"filter": "datum.share > 0.1"}]}
        return {
            "$schema": f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE.partition('.')[0]}.json",
            "title": f"{self.compressed} against {self.dense}: {self.images} images",
            "background": "white",
            "width": 700,
            "height": 300,
            "data": {"values": rows},
            "layer": [
                {"mark": {"type": "line", "opacity": 0.3}, "encoding": {"x": x, "y": y}},
                {"mark": {"type": "rule", "opacity": 0.4}, "encoding": ends},
                {"mark": {"type": "circle", "opacity": 1}, "encoding": {"x": x, "y": y, "color": colour, "size": size}},
                label | {"encoding": {"x": x, "y": y, "text": {"field": "layer"}}},
            ],
        }


def explain(
    dense: Path | str,
    compressed: Path | str,
    *,
    images: Path | str | None = None,
    dataset: Dataset | Path | str | None = None,
    split: str = "val",
    split_file: Path | str | None = None,
    limit: int | None = IMAGES,
    manifest: Manifest | Path | str | None = None,
    manifest_compressed: Manifest | Path | str | None = None,
    require_jail: bool = False,
    out: Path | str | None = None,
    progress: Progress = silent,
) -> Explanation:
    """Show where a compressed network goes wrong, layer by layer, on real images.

    Both run in jailed processes of their own, on the CPU. Of every layer some values are sampled, the same of both.
    Layers are paired by the names of what they answer, through quantizers and dequantizers, and where names do not
    match, the layers that multiply by their order.

    Args:
        dense: The network before compression: ONNX, or a submission.pt.
        compressed: The network made from it, in the same format.
        images: Folder of photographs, or where those of `dataset` are.
        dataset: A registered name, the path of any COCO JSON, or a `Dataset`; parksim where neither is given.
        split: Split of a registered data set, or of `split_file`.
        split_file: Which images of a JSON are in which split, as `wildbench data split` writes it.
        limit: Use only the first `limit` images.
        manifest: What the dense one takes and answers, where nothing in it or beside it says so.
        manifest_compressed: The same of the compressed one.
        require_jail: Open nothing where not every wall around the processes stands.
        out: SVG to write; the figures go beside it as JSON. Nothing is written where it is None.
        progress: Called as `progress(task, done, total)`.

    Raises:
        SubmissionError: A file that is not taken; `no-layers`: its runtime shows none; `layers-differ`: those of the
            two do not pair.
        DatasetError: As `agree`.

    Example:
        >>> found = explain("dense.onnx", "int8.onnx", images="photographs", out="layers.svg")  # doctest: +SKIP
        >>> found.leave_in_float  # doctest: +SKIP
        ['/head/Concat']
    """
    chart = None if out is None else Path(out)
    for path in (chart, chart and chart.with_suffix(".json")):
        if path:
            check_writable(path)
    source = "parksim" if images is None and dataset is None else dataset
    shown = photographs(images, source, limit, split=split, split_file=split_file)
    left = Sandbox(dense, manifest=manifest, require_jail=require_jail)
    right = Sandbox(compressed, manifest=manifest_compressed, require_jail=require_jail)
    signals: list[tuple[list[Signal], list[Signal]]] = []
    with left, right:
        for done, photograph in enumerate(shown):
            progress("layer by layer", done, len(shown))
            pixels = decode(photograph.path)
            signals.append((signals_of(left, pixels), signals_of(right, pixels)))
        progress("layer by layer", len(shown), len(shown))
        names = [box.path.name for box in (left, right)]
        hashes = [box.admitted.sha256 for box in (left, right)]
    layers, how, unmatched = _layers(signals, f"{names[0]} and {names[1]}")
    found = Explanation(
        wildbench=version("wildbench"),
        dense=names[0],
        dense_sha256=hashes[0],
        compressed=names[1],
        compressed_sha256=hashes[1],
        images=len(shown),
        matched_by=how,
        unmatched=unmatched,
        layers=layers,
        leave_in_float=_worst(layers),
    )
    if chart:
        text = json.dumps(found.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False)
        write_atomically(chart.with_suffix(".json"), f"{text}\n".encode())
        write_atomically(chart, svg(found.chart()))
    return found


@dataclass(frozen=True)
class _Paired:
    """One layer of both networks in one image; what is given stands beside what is answered."""

    dense: Signal
    given: Signal
    compressed: Signal


def _layers(signals: Sequence[tuple[list[Signal], list[Signal]]], who: str) -> tuple[list[LayerNoise], str, int]:
    """Pair the layers of every image, and measure their noise."""
    how = "names"
    pairs = [_by_name(*both) for both in signals]
    products = [sum(_kind(one) in MULTIPLYING for one in side) for side in signals[0]]
    if 2 * sum(_kind(one.compressed) in MULTIPLYING for one in pairs[0].values()) < max(products):
        how = "order"
        pairs = [_by_order(*both, who) for both in signals]
    shared = [name for name in pairs[0] if all(name in one for one in pairs)]
    noises = [_noise([one[name] for one in pairs]) for name in shared]
    if not noises:
        raise _differ(who)
    total = math.fsum(one.added for one in noises)
    layers = [one.model_copy(update={"share": one.added / total if total else 0.0}) for one in noises]
    return layers, how, len(signals[0][0]) - len(layers)


def _by_name(dense: list[Signal], compressed: list[Signal]) -> dict[str, _Paired]:
    """Pair layers by the names of what they answer; an activation may have gone into the layer before it."""
    ours, theirs = ({one.name: one for one in side} for side in (dense, compressed))
    pairs: dict[str, _Paired] = {}
    for name, one in ours.items():
        before = ours.get(one.sources[0]) if len(one.sources) == 1 and one.operator in ACTIVATIONS else None
        other = theirs.get(name) or (theirs.get(before.name) if before else None)
        if other and before and _kind(other) == _kind(before):
            pairs.pop(before.name, None)
            pairs[before.name] = _Paired(one, before, other)
        elif other:
            pairs[name] = _Paired(one, one, other)
    return {name: one for name, one in pairs.items() if one.dense.output.size == one.compressed.output.size}


def _by_order(dense: list[Signal], compressed: list[Signal], who: str) -> dict[str, _Paired]:
    """Pair the layers that multiply in their order."""
    ours, theirs = ([one for one in side if _kind(one) in MULTIPLYING] for side in (dense, compressed))
    if not ours or [one.output.size for one in ours] != [one.output.size for one in theirs]:
        raise _differ(who)
    return {one.name: _Paired(one, one, other) for one, other in zip(ours, theirs, strict=True)}


def _kind(one: Signal) -> str:
    """The operator before it was quantized: of QLinearConv and ConvInteger, Conv."""
    return one.operator.removeprefix("QLinear").removesuffix("Integer").replace("QGemm", "Gemm")


def _differ(who: str) -> SubmissionError:
    remedy = "name a network and the one made from it, in one format"
    return SubmissionError(f"{who}: their layers do not pair", code="layers-differ", remedy=remedy)


def _noise(images: Sequence[_Paired]) -> LayerNoise:
    first = images[0]
    out = [(one.dense.output, one.compressed.output) for one in images]
    many = min(len(side.inputs) for one in images for side in (one.given, one.compressed))
    given = ([(one.given.inputs[place], one.compressed.inputs[place]) for one in images] for place in range(many))
    before, after = max(map(_noise_share, given), default=0.0), _noise_share(out)
    unrounded = [(one.dense.output, one.compressed.unrounded or one.compressed.output) for one in images]
    exact = after if first.dense is not first.given else _noise_share(unrounded)  # it may be the activation
    powers = np.array([_sums(*both)[:2].sum(axis=1) for both in out])
    ours, theirs = [set(one.dense.dead) for one in images], [set(one.compressed.dead) for one in images]
    dead = theirs[0].intersection(*theirs) - ours[0].intersection(*ours)
    clipped = float(np.mean([one.compressed.clipped - one.dense.clipped for one in images]))
    return LayerNoise(
        name=first.dense.name,
        node=first.given.node,
        operator=first.given.operator,
        snr=_decibels(*powers.sum(axis=0).tolist()),
        snr_interval=_interval(powers),
        noise=after,
        noise_given=before,
        added=max(after - before, 0.0),
        rounding=max(min(after - exact, after - before), 0.0),
        takers=first.compressed.takers,
        share=0.0,
        clipped=max(clipped, 0.0),
        channels=first.compressed.output.channels,
        dead=len(dead),
    )


def _sums(dense: Sampled, compressed: Sampled) -> Floats:
    """[4, channel]: powers of the noise and of the signal, the signal itself, and how many values there are."""
    a, b = np.array(dense.values), np.array(compressed.values)
    noise = (a - b) ** 2 if a.shape == b.shape else a**2
    return np.stack([np.bincount(dense.channel, one, dense.channels) for one in (noise, a**2, a, np.ones_like(a))])


def _noise_share(images: Sequence[tuple[Sampled, Sampled]]) -> float:
    """Of the power of a channel around its mean, over all images; mean over the channels in which there is any.

    What a channel always adds is no signal: the next layer may subtract it, and the noise would stay.
    """
    alike = (both for both in images if both[0].channels == images[0][0].channels)
    noise, power, total, many = np.sum([_sums(*both) for both in alike], axis=0)
    signal = np.maximum(power - total**2 / np.maximum(many, 1), 0)
    whole = noise + signal
    heard = (many > 1) & (whole > 1e-12 * power.max(initial=0))
    return float((noise[heard] / whole[heard]).mean()) if heard.any() else 0.0


def _decibels(noise: float, signal: float) -> float | None:
    return 10 * math.log10(signal / noise) if noise > 0 and signal > 0 else None


def _interval(powers: Floats) -> Interval | None:
    """Of the decibels, drawing images."""
    if len(powers) < 2 or not powers.all():
        return None
    images = np.arange(len(powers))

    def measure(weights: Ints) -> Floats:
        noise, signal = (weights @ powers).T
        return np.asarray(-10 * np.log10(noise / signal))[:, None]

    low, high = np.quantile(replay(measure, images, images).drawn, (0.025, 0.975))
    return float(low), float(high)


def _worst(layers: Sequence[LayerNoise]) -> list[str]:
    """The fewest nodes that make up most of the added noise."""
    ranked = sorted((one for one in layers if one.added > 0), key=lambda one: -one.added)
    until = np.cumsum([one.share for one in ranked])
    many = int(np.searchsorted(until, MOST_OF_IT - 1e-9)) + 1
    nodes = ([one.node, *(one.takers if 2 * one.rounding > one.added else ())] for one in ranked[:many])
    return list(dict.fromkeys(node for some in nodes for node in some))
