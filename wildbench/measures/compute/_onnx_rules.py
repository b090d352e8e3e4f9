"""How many multiply-accumulates one ONNX node takes, by the shapes of its tensors, and which nodes take none.

Every operator is of one of four kinds: it has a rule, it only moves values, it calculates value by value (or pools, or
normalizes) and takes none by convention, or nothing is known of it. The last kind makes a count unknown: a product
without a rule is never zero. https://onnx.ai/onnx/operators/ and ONNX Runtime's ContribOperators.md describe them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING

from wildbench.measures.compute._count import convolution_macs, einsum_macs, product_macs

if TYPE_CHECKING:
    from onnx import NodeProto

Shapes = Sequence[Sequence[int]]

Rule = Callable[["NodeProto", Shapes], int | None]
"""Takes a node and the shapes of its inputs and then its first output, `[]` for one left out; gives MACs, or None for
a form of the operator that it does not know."""


def _number(node: NodeProto, name: str) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), 0)


def _convolution(weight: int, *, transposed: bool = False) -> Rule:
    def rule(node: NodeProto, shapes: Shapes) -> int:
        out = shapes[-1]
        if node.op_type.startswith("Nhwc") or node.domain == "com.ms.internal.nhwc" or _number(node, "channels_last"):
            out = [out[0], out[-1], *out[1:-1]]  # ONNX Runtime's own layout, in graphs that it optimized
        return convolution_macs(shapes[0], shapes[weight], out, transposed=transposed)

    return rule


def _product(node: NodeProto, shapes: Shapes) -> int | None:
    if _number(node, "transBatchA"):
        return None
    return product_macs(shapes[0], shapes[-1])


def _gemm(node: NodeProto, shapes: Shapes) -> int | None:
    if _number(node, "transBatchA"):
        return None
    left = list(shapes[0])
    if _number(node, "transA"):
        left[-2:] = left[:-3:-1]
    return product_macs(left, shapes[-1])


def _recurrent(_node: NodeProto, shapes: Shapes) -> int:
    """Each step of each sequence meets the weights of the input and those of the state."""
    return shapes[0][0] * shapes[0][1] * (prod(shapes[1]) + prod(shapes[2]))


def _attention(past: int) -> Rule:
    """Queries with keys, then with values: one product of all queries and one of all results for each key there is."""

    def rule(node: NodeProto, shapes: Shapes) -> int | None:
        inputs, out = shapes[:-1], shapes[-1]
        if len(inputs) < 3 or not all(len(inputs[at]) in (3, 4) for at in (0, 1, 2)):
            return None  # packed
        keys = inputs[1][-2] + (inputs[past][-2] if past < len(inputs) and inputs[past] else 0)
        return (prod(inputs[0]) + prod(out)) * keys

    return rule


def _projected_attention(past: int) -> Rule:
    """Microsoft's: one product makes queries, keys and values of the input."""

    def rule(node: NodeProto, shapes: Shapes) -> int:
        (batch, length, _), weight, out = shapes[0], shapes[1], shapes[-1]
        sizes = next((one.ints for one in node.attribute if one.name == "qkv_hidden_sizes"), None)
        queries = sizes[0] if sizes else weight[-1] // 3
        keys = length + (shapes[past][-2] if past < len(shapes) - 1 and shapes[past] else 0)
        return batch * length * (prod(weight) + queries * keys) + prod(out) * keys

    return rule


def _einsum(node: NodeProto, shapes: Shapes) -> int | None:
    equation = next((one.s.decode() for one in node.attribute if one.name == "equation"), "")
    try:
        return einsum_macs(equation, shapes[:-1])
    except (ValueError, KeyError):
        return None


RULES: dict[str, Rule] = {
    **dict.fromkeys(("Conv", "ConvInteger", "DeformConv"), _convolution(weight=1)),
    **dict.fromkeys(("FusedConv", "NhwcConv", "NhwcFusedConv"), _convolution(weight=1)),
    "QLinearConv": _convolution(weight=3),
    **dict.fromkeys(("ConvTranspose", "ConvTransposeWithDynamicPads"), _convolution(weight=1, transposed=True)),
    "QLinearConvTranspose": _convolution(weight=3, transposed=True),
    **dict.fromkeys(("Gemm", "FusedGemm", "QGemm", "GemmFloat8"), _gemm),
    **dict.fromkeys(("FusedMatMul", "FusedMatMulActivation", "TransposeMatMul", "SparseToDenseMatMul"), _gemm),
    **dict.fromkeys(("MatMul", "MatMulInteger", "MatMulInteger16", "QLinearMatMul", "GemmFastGelu"), _product),
    **dict.fromkeys(("MatMulIntegerToFloat", "DynamicQuantizeMatMul"), _product),
    **dict.fromkeys(("MatMulNBits", "MatMulBnb4", "MatMulFpQ4"), _product),
    **dict.fromkeys(("RNN", "GRU", "LSTM", "DynamicQuantizeLSTM"), _recurrent),
    "Einsum": _einsum,
    "Attention": _attention(past=4),
    "com.microsoft::MultiHeadAttention": _attention(past=6),
    "com.microsoft::Attention": _projected_attention(past=4),
    "com.microsoft::QAttention": _projected_attention(past=8),
    "AffineGrid": lambda _node, shapes: prod(shapes[-1]) * shapes[0][-1],
    "com.microsoft::CDist": _product,
}
"""By operator; by `domain::operator` where another domain has one of that name."""

_MOVES = """
BitCast Cast CastLike CenterCropPad Compress Concat ConcatFromSequence Constant ConstantOfShape DepthToSpace Expand
ExpandDims EyeLike Flatten Gather GatherElements GatherND Identity If Loop NonZero OneHot Optional OptionalGetElement
OptionalHasElement Pad QLinearConcat Range ReorderInput ReorderOutput Reshape ReverseSequence Scan Scatter
ScatterElements ScatterND SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength Shape
Size Slice SpaceToDepth Split SplitToSequence Squeeze TensorScatter Tile TopK Transpose Trilu Unique Unsqueeze Where
"""

MOVES = frozenset(_MOVES.split())
"""Nodes that allocate, copy, choose or order values and calculate none, or stand for the nodes of their bodies."""

_PLAIN = """
Abs Acos Acosh Add And ArgMax ArgMin ArrayFeatureExtractor Asin Asinh Atan Atanh AveragePool BatchNormalization
Bernoulli BiasAdd BiasGelu BiasSoftmax BiasSplitGelu Binarizer BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
BlackmanWindow CastMap CategoryMapper Ceil Celu Clip Col2Im ComplexMul ComplexMulConj Cos Cosh CropAndResize CumProd
CumSum DequantizeLinear DictVectorizer Div Dropout DynamicQuantizeLinear Elu Equal Erf Exp FastGelu FeatureVectorizer
Floor GatherBlockQuantized Gelu GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample
GroupNorm GroupNormalization HammingWindow HannWindow HardSigmoid HardSwish Hardmax Imputer InstanceNormalization
IsAllFinite IsInf IsNaN LRN LabelEncoder LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization
LpPool Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization Min Mish Mod Mul MulInteger Multinomial Neg
NhwcMaxPool NonMaxSuppression Normalizer Not OneHotEncoder Or PRelu Pow QLinearAdd QLinearAveragePool
QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearReduceMean QLinearSigmoid QLinearSoftmax QLinearWhere
QuantizeLinear QuickGelu RMSNormalization RandomNormal RandomNormalLike RandomUniform RandomUniformLike Reciprocal
ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumInteger
ReduceSumSquare RegexFullMatch Relu Resize RoiAlign RotaryEmbedding Round Scaler Selu Shrink Sigmoid Sign
SimplifiedLayerNormalization Sin Sinh SkipGroupNorm SkipLayerNormalization SkipSimplifiedLayerNormalization Softmax
Softplus Softsign Sqrt StringConcat StringNormalizer StringSplit Sub Sum SwiGLU Swish Tan Tanh ThresholdedRelu
TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor Upsample Xor ZipMap
"""

PLAIN = frozenset(_PLAIN.split())
"""Nodes that calculate value by value, pool, sample or normalize: they take no MAC, and are named as uncounted."""

INTERNAL = ("com.microsoft.nchwc", "com.ms.internal.nhwc")
"""Domains in which ONNX Runtime has its own layouts of the standard operators."""


def operator_of(node: NodeProto) -> str:
    """An operator by its name, with its domain where that is not the standard's."""
    return node.op_type if node.domain in ("", "ai.onnx", *INTERNAL) else f"{node.domain}::{node.op_type}"


def rule_of(node: NodeProto) -> Rule | None:
    """What counts a node; None where it takes no MAC, or where nothing is known of it: see `is_plain`."""
    return RULES.get(operator_of(node)) or (None if node.op_type in AMBIGUOUS else RULES.get(node.op_type))


AMBIGUOUS = frozenset(("Attention",))
"""Operators that are another one in another domain."""


def is_plain(node: NodeProto) -> bool:
    """Whether a node without a rule is known to take no MAC."""
    return node.op_type in MOVES or node.op_type in PLAIN


def macs_of(node: NodeProto, shapes: Shapes) -> int | None:
    """MACs of one run of a node; None where it multiplies, or may, and nothing counts it.

    Args:
        node: From a graph whose local functions are expanded.
        shapes: Of its inputs and then its first output; `[]` for an input that is left out.

    Example:
        >>> from onnx import helper
        >>> macs_of(helper.make_node("Einsum", ["a", "b"], ["y"], equation="ij,jk"), [[2, 3], [3, 4], [2, 4]])
        24
    """
    rule = rule_of(node)
    try:
        return rule(node, shapes) if rule else 0 if is_plain(node) else None
    except (IndexError, ValueError):  # shapes that the operator does not take
        return None
