"""The MicroNet Challenge's own examples, and layers by its reference implementation's formulas."""

from fractions import Fraction

import pytest
import torch

from wildbench.measures.compute._bops_and_micronet import (
    Cost,
    is_free,
    mask_bits,
    operation,
    operations,
    score,
    storage,
    tensor_bits,
)
from wildbench.measures.compute._count import Count
from wildbench.measures.compute._operands import Operands, Weight
from wildbench.submissions.codecs.storage import SPARSE


def test_a_512_by_128_matrix_in_blocks_of_4_by_4_needs_4096_bits_of_mask() -> None:
    assert mask_bits([512, 128], [4, 4]) == 4096
    assert mask_bits([512, 128]) == 512 * 128
    assert mask_bits([5, 7], [4, 4]) == 4
    _, mask, kept = SPARSE.split(torch.eye(128).repeat_interleave(4, 0), (4, 4))
    assert (mask.numel(), kept.numel()) == (4096, 128 * 4 * 4)


@pytest.mark.parametrize(
    ("inputs", "counts"), [((3, 5), Fraction(5, 32)), ((32, 8), Fraction(1)), ((32, 32), Fraction(1)), ((8, 8), 1 / 4)]
)
def test_an_operation_counts_by_its_widest_input(inputs: tuple[int, int], counts: Fraction) -> None:
    assert operation(*inputs) == counts


def test_an_8_bit_parameter_counts_as_a_quarter() -> None:
    assert storage(Operands({"w": Weight(1, 1, 8, 8)})) == Fraction(1, 4)


def test_the_rules_example_of_a_score() -> None:
    mobilenet = Cost(Fraction(6_900_000), Fraction(1_170_000_000))
    assert float(score(Cost(Fraction(3_000_000), Fraction(500_000_000)), mobilenet)) == pytest.approx(0.862, abs=5e-4)


def one(weight: Weight, macs: int, activation_bits: int = 32) -> tuple[Count, Operands]:
    """A layer of one weight."""
    return Count(by_module={"a": macs}, by_weight={"a": macs}), Operands({"a": weight}, activation_bits)


def test_who_quantizes_nothing_counts_16_bits_but_adds_in_32() -> None:
    count, operands = one(Weight(100, 100, 32, 32), 1000)
    assert is_free(operands)
    assert storage(operands) == 50
    assert operations(count, operands) == 1000 * Fraction(16, 32) + 1000


def test_who_quantizes_anything_counts_every_width_as_it_is() -> None:
    weights = {"a": Weight(100, 100, 32, 32), "b": Weight(100, 100, 8, 8)}
    operands = Operands(weights)
    assert not is_free(operands)
    assert storage(operands) == 100 + 25
    count = Count(by_module={"x": 300}, by_weight={"a": 100, "b": 100})
    assert operations(count, operands) == 300 + 300  # float activations make every multiplication a whole one
    assert not is_free(Operands({"a": weights["a"]}, activation_bits=8))
    assert is_free(Operands({"a": weights["a"], "mean": Weight(3, 3, 8, 8, parameter=False)}, activation_bits=16))


@pytest.mark.parametrize(
    ("weight_bits", "activation_bits", "multiplication"),
    [(8, 8, Fraction(8, 32)), (4, 8, Fraction(8, 32)), (3, 5, Fraction(5, 32)), (8, 4, Fraction(8, 32))],
)
def test_quantized_layers(weight_bits: int, activation_bits: int, multiplication: Fraction) -> None:
    count, operands = one(Weight(100, 100, weight_bits, weight_bits), 1000, activation_bits)
    assert operations(count, operands) == 1000 * (multiplication + 1)
    assert storage(operands) == Fraction(100 * weight_bits, 32)


def test_a_product_of_two_activations_has_their_width_twice() -> None:
    count, operands = one(Weight(10, 10, 4, 4), 100, 8)
    attention = Count(by_module={"a": 100, "b": 60}, by_weight={"a": 100})
    assert operations(attention, operands) - operations(count, operands) == 60 * (Fraction(8, 32) + 1)


def test_a_sparse_convolution_as_their_reference_implementation_counts_it() -> None:
    """3 x 3, 4 to 8 channels on 8 x 8, valid, a bias, half of the weights zero, 16 bits (`count_ops`)."""
    weights, positions = 3 * 3 * 4 * 8, 6 * 6
    vector, outputs = 3 * 3 * 4 * 0.5, positions * 8
    multiplications, additions = vector * outputs, (vector - 1) * outputs + outputs
    count, operands = one(Weight(weights, weights // 2, 16, 16), positions * weights, 16)
    assert operations(count, operands) == Fraction(multiplications) / 2 + Fraction(additions)
    stored = weights * 16 * (1 - 0.5) + weights
    assert tensor_bits(operands.weights["a"], free=True) == stored


@pytest.mark.parametrize(
    ("weight", "bits"),
    [
        (Weight(100, 100, 8, 8), 800),
        (Weight(100, 90, 8, 8), 800),  # a mask would cost more than the ten zeros
        (Weight(100, 50, 8, 8), 500),
        (Weight(100, 0, 8, 8), 100),
        (Weight(100, 100, 32, 4, extra_bits=16 * 32), 400 + 512),  # 4-bit indices and a codebook of 16 floats
        (Weight(100, 30, 16, 4, extra_bits=16 * 16), 120 + 100 + 256),
        (Weight(64, 64, 8, 8, extra_bits=8 * 40), 512 + 320),  # eight channels, a scale and a zero point each
    ],
)
def test_what_a_tensor_stores(weight: Weight, bits: int) -> None:
    assert tensor_bits(weight, free=False) == bits
    assert storage(Operands({"a": weight, "mean": Weight(9, 9, 8, 8, parameter=False)})) == Fraction(bits, 32)


def test_a_codebook_saves_storage_and_no_arithmetic() -> None:
    """An index is looked up; what is multiplied is a value of the codebook."""
    count, shared = one(Weight(100, 100, 32, 4, extra_bits=512), 1000)
    assert operations(count, shared) == 2000
    assert storage(shared) < storage(Operands({"a": Weight(100, 100, 32, 32)}))
