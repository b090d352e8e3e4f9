"""MACs of ONNX operators against closed forms; and every operator of ONNX is known, or makes a count unknown."""

from typing import Any

import onnx
import pytest
from onnx import helper

from wildbench.measures.compute._count import einsum_macs
from wildbench.measures.compute._onnx_rules import RULES, is_plain, macs_of, operator_of, rule_of

Shapes = list[list[int]]

B, S, L, D, H = 2, 5, 7, 8, 6

FORMS: dict[str, tuple[Any, Shapes, int]] = {
    "LSTM": ({}, [[S, B, D], [1, 4 * H, D], [1, 4 * H, H], [S, 1, B, H]], S * B * 4 * H * (D + H)),
    "GRU both ways": ({"op": "GRU"}, [[S, B, D], [2, 3 * H, D], [2, 3 * H, H], []], 2 * S * B * 3 * H * (D + H)),
    "RNN": ({}, [[S, B, D], [1, H, D], [1, H, H], [S, 1, B, H]], S * B * H * (D + H)),
    "Attention": ({}, [[B, 4, S, D], [B, 4, L, D], [B, 4, L, 3], [B, 4, S, 3]], B * 4 * S * L * (D + 3)),
    "Attention of rows": (
        {"op": "Attention", "q_num_heads": 4},
        [[B, S, 4 * D], [B, L, 4 * D], [B, L, 4 * 3], [B, S, 4 * 3]],
        B * 4 * S * L * (D + 3),
    ),
    "Attention with what was": (
        {"op": "Attention"},
        [[B, 4, 1, D], [B, 4, 1, D], [B, 4, 1, D], [], [B, 4, L, D], [B, 4, L, D], [B, 4, 1, D]],
        B * 4 * 2 * D * (L + 1),
    ),
    "MultiHeadAttention": (
        {"domain": "com.microsoft"},
        [[B, S, 32], [B, L, 32], [B, L, 32], [B, S, 32]],
        2 * B * S * L * 32,
    ),
    "Microsoft's Attention": (
        {"op": "Attention", "domain": "com.microsoft"},
        [[B, S, D], [D, 3 * 16], [48], [B, S, 16]],
        B * S * D * 48 + 2 * B * S * S * 16,
    ),
    "FusedMatMul": ({"domain": "com.microsoft", "transA": 1}, [[B, 3, S], [B, 3, L], [B, S, L]], B * S * L * 3),
    "AffineGrid": ({}, [[B, 2, 3], [4], [B, 5, 7, 2]], B * 5 * 7 * 2 * 3),
    "CDist": ({"domain": "com.microsoft"}, [[S, D], [L, D], [S, L]], S * L * D),
}


@pytest.mark.parametrize("name", FORMS)
def test_closed_forms(name: str) -> None:
    about, shapes, macs = FORMS[name]
    about = dict(about)
    node = helper.make_node(about.pop("op", name), [f"i{at}" for at in range(len(shapes) - 1)], ["o"], **about)
    assert macs_of(node, shapes) == macs


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("ij,jk->ik", [[2, 3], [3, 4]], 24),
        ("ij,jk", [[2, 3], [3, 4]], 24),
        ("bhid,bhjd->bhij", [[2, 3, 5, 8], [2, 3, 7, 8]], 2 * 3 * 5 * 7 * 8),
        ("...id,...jd->...ij", [[2, 3, 5, 8], [3, 7, 8]], 2 * 3 * 5 * 7 * 8),
        ("i,i->", [[9], [9]], 9),
        ("ij->ji", [[2, 3]], 0),
        ("ij,jk,kl->il", [[2, 3], [3, 4], [4, 5]], 2 * 3 * 4 + 2 * 4 * 5),
    ],
)
def test_einsum(equation: str, shapes: Shapes, macs: int) -> None:
    assert einsum_macs(equation, shapes) == macs


@pytest.mark.parametrize("bad", ["ij,jk->ik", "i,j,k->ijk", "ijk,jk->i"])
def test_an_einsum_of_other_shapes_is_unknown(bad: str) -> None:
    node = helper.make_node("Einsum", ["a", "b"], ["o"], equation=bad)
    assert macs_of(node, [[2], [3], [2]]) is None


def test_what_is_not_known_is_never_zero() -> None:
    unknown = {"DFT", "STFT", "Det", "LinearAttention", "CausalConvWithState", "ImageDecoder", "MelWeightMatrix"}
    unknown |= {"NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss", "TfIdfVectorizer", "SequenceMap"}
    names = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    nodes = {name: helper.make_node(name, ["x"], ["y"]) for name in names}
    assert {name for name, node in nodes.items() if not rule_of(node) and not is_plain(node)} == unknown
    for domain, name in [("com.microsoft", "GroupQueryAttention"), ("com.microsoft", "MoE"), ("mine", "Trick")]:
        assert macs_of(helper.make_node(name, ["x"], ["y"], domain=domain), [[1, 2], [1, 2]]) is None


def test_what_has_a_rule_is_not_said_to_take_none() -> None:
    nodes = [helper.make_node(name.rpartition("::")[2], ["x"], ["y"]) for name in RULES]
    assert not [operator_of(node) for node in nodes if is_plain(node)]
