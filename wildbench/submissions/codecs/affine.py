"""Numbers in fewer bits: half precision, and affine quantization to 2 to 8 bits.

Affine: value = scale x (code - zero point), as ONNX's DequantizeLinear has it.
"""

from __future__ import annotations

import numpy as np
import torch

from wildbench.errors import SubmissionError
from wildbench.submissions.codecs.packing import (
    FLOATS,
    RAW,
    Codec,
    Promise,
    Record,
    dtype_of,
    integer,
    name_of,
    require,
    values_of,
)
from wildbench.submissions.codecs.storage import STORAGE, Layered, Steps, store


class Affine(Layered):
    """{"dtype", "shape", "bits", "axis", "scale", "zero_point", "codes"}.

    `scale` (float32) and `zero_point` (uint8, 0..2^bits - 1) have one number, and `axis` is null, or one for each index
    of `axis`. `codes` is a record of (q - zero_point) mod 2^bits, uint8, for each unsigned quantized number q: a
    code of zero is a value of zero whatever the zero point, so that zeros can be left out. The product is rounded once,
    in float32.
    """

    key, tables = "codes", ("scale", "zero_point")

    def decode(self, record: Record) -> torch.Tensor:
        """Multiply."""
        shape, dtype = self.promise(record)
        bits = integer(record, "bits", 2, 8)
        scale, zero_point = self._tables(record, shape, bits)
        codec, inner = self.inner(record)
        codes = codec.decode(inner)
        require(not codes.numel() or int(codes.max()) < 2**bits, f"a code beyond {bits} bits")
        steps = ((codes + zero_point) & (2**bits - 1)).to(torch.float32).sub_(zero_point)  # uint8 wraps at 256
        decoded: torch.Tensor = steps.mul_(scale).to(dtype)
        return decoded

    def width(self, record: Record) -> int:
        """Of a code."""
        return integer(record, "bits", 2, 8)

    def steps(self, record: Record) -> list[str]:
        """Its bits, and how the codes are stored."""
        codec, inner = self.inner(record)
        return [f"int{record['bits']}", *codec.steps(inner)]

    def _tables(self, record: Record, shape: tuple[int, ...], bits: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Scale and zero point, shaped so that they meet the codes."""
        scale = values_of(record, "scale", (torch.float32,))
        zero_point = values_of(record, "zero_point", (torch.uint8,))
        axis = None if record["axis"] is None else integer(record, "axis", 0, len(shape) - 1)
        count = 1 if axis is None else shape[axis]
        require(scale.shape == zero_point.shape == (count,), f"no {count} scales and zero points")
        require(bool((scale.isfinite() & (scale > 0)).all()), "a scale that is not positive and finite")
        require(not count or int(zero_point.max()) < 2**bits, f"a zero point beyond {bits} bits")
        sides = [count if side == axis else 1 for side in range(len(shape))]
        return scale.reshape(sides), zero_point.reshape(sides)


AFFINE = Affine()


def record(
    quantized: torch.Tensor,
    scale: torch.Tensor,
    zero_point: torch.Tensor,
    *,
    bits: int = 8,
    axis: int | None = None,
    dtype: torch.dtype = torch.float32,
    steps: Steps | None = None,
) -> Record:
    """The finished record of a quantizer, which knows its scales.

    Args:
        quantized: Whole numbers q of any integer type: -2^(bits - 1) to 2^(bits - 1) - 1 where it is signed, else 0 to
            2^bits - 1.
        scale: [1] or [size of `axis`], positive.
        zero_point: The same shape, in the range of q.
        bits: 2 to 8.
        axis: Of the channels; None for one scale.
        dtype: Of the decoded tensor, scale x (q - zero_point).
        steps: How to store the codes; by default packed.

    Raises:
        SubmissionError: A number is out of range, or the shapes do not meet.

    Example:
        >>> q = torch.tensor([[-128, 0], [3, 127]], dtype=torch.int8)
        >>> AFFINE.decode(record(q, torch.tensor([0.5, 2.0]), torch.tensor([0, 3]), axis=0))
        tensor([[-64.,   0.],
                [  0., 248.]])
    """
    middle = 2 ** (bits - 1) if quantized.dtype.is_signed else 0
    codes, zeros = (values.detach().cpu().to(torch.int64) + middle for values in (quantized, zero_point.reshape(-1)))
    try:
        for name, values in (("q", codes), ("zero_point", zeros)):
            inside = not values.numel() or (int(values.min()) >= 0 and int(values.max()) < 2**bits)
            require(inside, f"{name} out of range")
        plain = {
            "codec": "affine",
            "dtype": name_of(dtype),
            "shape": list(codes.shape),
            "bits": bits,
            "axis": axis,
            "scale": scale.detach().cpu().reshape(-1).to(torch.float32),
            "zero_point": zeros.to(torch.uint8),
        }
        AFFINE.promise(plain)
        _, zeros = AFFINE._tables(plain, tuple(codes.shape), bits)
        shifted = ((codes - zeros.to(torch.int64)) & (2**bits - 1)).to(torch.uint8).contiguous()
    except (ValueError, KeyError) as error:
        raise SubmissionError(f"not an affine tensor ({error})", code="codec", remedy="see docs/codecs.md") from None
    return {**plain, "codes": store(shifted, bits, steps or Steps())}


def accepts(tensor: torch.Tensor) -> bool:
    """Whether rounding to nearest makes sense: finite floats with channels, as weights have and biases have not."""
    return tensor.dtype in FLOATS and tensor.dim() >= 2 and tensor.numel() > 0 and bool(tensor.isfinite().all())


def round_to_nearest(tensor: torch.Tensor, bits: int, per_channel: bool, steps: Steps) -> Record:
    """Symmetric rounding to nearest, scale = largest magnitude / (2^(bits - 1) - 1), per output channel or in all.

    The plainest quantizer; one that is calibrated hands over its own `record`.
    """
    most = 2 ** (bits - 1) - 1
    wide = tensor.to(torch.float32)
    largest = wide.abs().amax(dim=tuple(range(1, tensor.dim()))) if per_channel else wide.abs().max().reshape(1)
    scale = torch.where(largest > 0, largest / most, torch.ones(1)).clamp_min(torch.finfo(torch.float32).tiny)
    steps_of = scale.reshape(-1, *[1] * (tensor.dim() - 1))
    q = (wide / steps_of).round().clamp(-most, most).to(torch.int8)
    axis, zeros = 0 if per_channel else None, torch.zeros(len(scale), dtype=torch.int64)
    return record(q, scale, zeros, bits=bits, axis=axis, dtype=tensor.dtype, steps=steps)


WIDE = (torch.float32, torch.float64)


class HalfPrecision(Layered):
    """Two bytes for each number, rounded to nearest even once, when it is encoded: {"dtype", "values"}.

    `values` is a tensor of halves, or a record of one.

    Example:
        >>> codec = HalfPrecision()
        >>> codec.decode(codec.encode(torch.tensor([0.1]), Steps()))
        tensor([0.1000])
        >>> codec.accepts(torch.tensor([70000.0]))  # beyond the largest half, 65504
        False
    """

    name = "fp16"

    def accepts(self, tensor: torch.Tensor) -> bool:
        """Floating tensors whose finite values stay finite."""
        wide = tensor.dtype in WIDE
        return wide and bool(torch.equal(tensor.isfinite(), _rounded(tensor).isfinite()))

    def encode(self, tensor: torch.Tensor, steps: Steps) -> Record:
        """Round to half precision."""
        halves = store(_rounded(tensor), None, steps)
        values = halves["values"] if halves["codec"] == "raw" else halves
        return {"codec": "fp16", "dtype": name_of(tensor.dtype), "values": values}

    def promise(self, record: Record) -> Promise:
        """The shape of the halves."""
        codec, inner = self.inner(record)
        return Promise(codec.promise(inner).shape, dtype_of(record, WIDE))

    def decode(self, record: Record) -> torch.Tensor:
        """Widen again, which is exact."""
        codec, inner = self.inner(record)
        return codec.decode(inner).to(dtype_of(record, WIDE))

    def inner(self, record: Record) -> tuple[Codec, Record]:
        """The record of the halves; they may also stand there as they are."""
        values = record["values"]
        halves = values if isinstance(values, dict) else RAW.encode(values_of(record, "values"))
        codec = STORAGE[halves["codec"]]
        require(codec.promise(halves).dtype == torch.float16, "values that are not halves")
        return codec, halves


def _rounded(tensor: torch.Tensor) -> torch.Tensor:
    """To half precision, once: torch goes from doubles by way of singles, which rounds twice."""
    if tensor.dtype != torch.float64:
        return tensor.to(torch.float16)
    with np.errstate(over="ignore"):
        return torch.from_numpy(np.asarray(tensor.numpy().astype(np.float16)))


HALF = HalfPrecision()
