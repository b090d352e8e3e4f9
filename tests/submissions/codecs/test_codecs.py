"""Every codec and composition: what comes back, bit for bit, and how many bytes it takes."""

import io
import itertools
import json
import zlib

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from refusals import refused
from scipy.stats import entropy

from wildbench.submissions.archive._archive import lay_out, read_back
from wildbench.submissions.codecs import affine, codebook
from wildbench.submissions.codecs.chains import (
    NUMBERS,
    chain_of,
    decode,
    encode,
    entropy_bytes,
    promise,
    stored_bits,
    table_bytes,
    weight_bits,
)
from wildbench.submissions.codecs.packing import DTYPES
from wildbench.submissions.codecs.storage import Steps, cost, tensors_in

CHAINS = [
    "+".join(step for step in steps if step) or "raw"
    for steps in itertools.product(["", *NUMBERS], ["", "sparse", "sparse:4x4", "sparse:3x5"], ["", "huffman"])
]
LOSSLESS = [chain for chain in CHAINS if chain.split("+")[0] in ("raw", "codebook", "sparse", "huffman")] + ["smallest"]


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pruned(*shape: int, seed: int = 0) -> torch.Tensor:
    """Two in three zero, of either sign, as a product with a mask leaves them."""
    values = torch.randn(shape, generator=random(seed))
    return values * (torch.rand(shape, generator=random(seed + 1)) > 0.66)


def shared(*shape: int, values: int = 12) -> torch.Tensor:
    """Pruned, with so many distinct values."""
    table = torch.randn(values, generator=random(5))
    return torch.where(pruned(*shape) == 0, 0.0, table[torch.randint(values, shape, generator=random(6))])


SPECIAL = torch.tensor([0.0, -0.0, 1e-8, -1e-45, 65504.0, -1.0, 0.1, float("inf"), float("-inf"), float("nan")])
PAYLOAD = torch.tensor([0x7FC00001, 0x7F800001, -1, 0], dtype=torch.int32).view(torch.float32)
TENSORS = {
    "special": SPECIAL,
    "nan payloads": PAYLOAD.repeat(40),
    "convolution": pruned(13, 7, 3, 3),
    "shared": shared(16, 24, 3, 3),
    "shared linear": shared(40, 50, values=200),
    "one value": torch.full((30, 30), 0.25),
    "zeros": torch.zeros(9, 33),
    "scalar": torch.tensor(3.5),
    "empty": torch.empty(0, 4),
    "empty too": torch.empty(4, 0, 2),
    "bias": torch.randn(700, generator=random(2)),
    "count": torch.tensor(70000),
    "range": torch.arange(7),
    "bytes": torch.arange(250, dtype=torch.uint8).repeat(9),
    "flags": torch.tensor([True, False, False] * 100),
    "double": pruned(20, 30).double(),
    "half": pruned(20, 30).half(),
    "bfloat16": pruned(20, 30).bfloat16(),
    "channels last": pruned(4, 6, 5, 5).to(memory_format=torch.channels_last),
    "a view": pruned(20, 30)[:, ::3],
}
each_tensor = pytest.mark.parametrize("tensor", TENSORS.values(), ids=TENSORS.keys())


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def unsigned(tensor: torch.Tensor) -> bytes:
    """The bits, but for the sign of zero."""
    return bits(torch.where(tensor == 0, torch.zeros_like(tensor), tensor))


def through_torch(record: dict) -> dict:
    buffer = io.BytesIO()
    torch.save(record, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def through_a_payload(record: dict) -> dict:
    index, data = lay_out({"w": record})
    return read_back(index, data, "f.pt")[0]["w"]


@each_tensor
def test_decoding_gives_the_same_bits_after_a_trip_through_a_file(tensor: torch.Tensor) -> None:
    for chain in [*CHAINS, "smallest"]:
        record = encode(tensor, chain)
        there = decode(record, "")
        for stored in (through_torch(record), through_a_payload(record)):
            again = decode(stored, "")
            assert again.dtype == tensor.dtype
            assert again.shape == tensor.shape
            assert bits(there) == bits(again), chain
            assert promise(stored, "") == (tuple(tensor.shape), tensor.dtype)


@each_tensor
def test_what_loses_nothing_keeps_every_bit_but_the_sign_of_zero(tensor: torch.Tensor) -> None:
    assert bits(decode(encode(tensor, "raw"), "")) == bits(tensor)
    assert bits(decode(encode(tensor, "huffman"), "")) == bits(tensor)
    for chain in LOSSLESS:
        assert unsigned(decode(encode(tensor, chain), "")) == unsigned(tensor), chain


@each_tensor
def test_fp16_rounds_once_to_the_nearest_half_and_leaves_alone_what_it_cannot_hold(tensor: torch.Tensor) -> None:
    wide = tensor.dtype in (torch.float32, torch.float64)
    expected = tensor.half().to(tensor.dtype) if wide else tensor
    for chain in CHAINS:
        if chain.startswith("fp16"):
            assert unsigned(decode(encode(tensor, chain), "")) == unsigned(expected), chain
    assert decode(encode(torch.tensor([1 + 2**-11]), "fp16"), "").item() == 1.0  # halfway: to even
    assert encode(torch.tensor([70000.0]), "fp16")["codec"] == "raw"


@pytest.mark.parametrize("bits_", [4, 8])
@pytest.mark.parametrize("per_channel", [True, False])
def test_integers_are_rounded_as_torch_rounds_them(bits_: int, per_channel: bool) -> None:
    tensor, most = pruned(12, 5, 3, 3), 2 ** (bits_ - 1) - 1
    tensor[3] = 0  # a channel without a scale of its own
    name = f"int{bits_}" + ("" if per_channel else ":tensor")
    found = {chain: decode(encode(tensor, chain), "") for chain in (name, f"{name}+sparse", f"{name}+sparse+huffman")}
    if per_channel:
        largest = tensor.abs().amax((1, 2, 3))
        scale = torch.where(largest > 0, largest / most, torch.ones(()))
        zeros = torch.zeros(12, dtype=torch.int32)
        expected = torch.fake_quantize_per_channel_affine(tensor, scale, zeros, 0, -most, most)
    else:
        expected = torch.fake_quantize_per_tensor_affine(tensor, float(tensor.abs().max() / most), 0, -most, most)
    for chain, values in found.items():
        torch.testing.assert_close(values, expected, rtol=1e-6, atol=1e-7, msg=chain)
    assert len({unsigned(values) for values in found.values()}) == 1
    assert len(torch.unique(found[name][0])) <= 2**bits_ - 1


@pytest.mark.parametrize("name", ["int8", "int4"])
def test_integers_are_not_made_of_biases_nor_of_what_is_not_finite(name: str) -> None:
    for tensor in (TENSORS["bias"], TENSORS["special"].reshape(2, 5), TENSORS["range"], torch.tensor(2.0)):
        assert encode(tensor, name)["codec"] == "raw"
        assert chain_of(encode(tensor, f"{name},fp16"), "") == ("fp16" if tensor.is_floating_point() else "raw")


@pytest.mark.parametrize(("signed", "axis"), list(itertools.product([True, False], [None, 0, 1, 3])))
def test_an_affine_record_decodes_as_onnx_dequantizes(signed: bool, axis: int | None) -> None:
    random_ = np.random.default_rng(3)
    info = np.iinfo(np.int8 if signed else np.uint8)
    q = random_.integers(info.min, info.max, (5, 4, 3, 2), info.dtype, endpoint=True)
    count = 1 if axis is None else q.shape[axis]
    scale = random_.uniform(1e-3, 2, count).astype(np.float32)
    zero = random_.integers(info.min, info.max, count, info.dtype, endpoint=True)
    attributes = {} if axis is None else {"axis": axis}
    node = onnx.helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], **attributes)
    kinds = [onnx.helper.np_dtype_to_tensor_dtype(q.dtype), 1, onnx.helper.np_dtype_to_tensor_dtype(q.dtype)]
    inputs = [onnx.helper.make_tensor_value_info(n, kind, None) for n, kind in zip("qsz", kinds, strict=True)]
    graph = onnx.helper.make_graph([node], "g", inputs, [onnx.helper.make_tensor_value_info("w", 1, None)])
    shape = () if axis is None else (count,)
    fed = {"q": q, "s": scale.reshape(shape), "z": zero.reshape(shape)}
    (expected,) = ReferenceEvaluator(onnx.helper.make_model(graph)).run(None, fed)
    for steps in (Steps(), Steps((1, 1), huffman=True)):
        record = affine.record(*map(torch.from_numpy, (q, scale, zero)), axis=axis, steps=steps)
        assert unsigned(decode(record, "")) == unsigned(torch.from_numpy(expected))


@pytest.mark.parametrize("width", range(2, 9))
def test_every_width_of_an_affine_record_comes_back(width: int) -> None:
    q = torch.randint(2**width, (6, 35), generator=random(width), dtype=torch.uint8)
    zero = torch.randint(2**width, (6,), generator=random(width + 1), dtype=torch.uint8)
    scale = torch.rand(6, generator=random(width + 2)) + 0.5
    record = affine.record(q, scale, zero, bits=width, axis=0, dtype=torch.float64)
    expected = ((q.float() - zero.float()[:, None]) * scale[:, None]).double()
    assert torch.equal(decode(record, ""), expected)
    assert record["codes"]["data"].nbytes == -(-6 * 35 * width // 8)
    assert (stored_bits(record, ""), weight_bits(record, ""), table_bytes(record)) == (width, width, 6 * 5)


def test_a_quantizer_that_is_wrong_about_its_numbers_is_told() -> None:
    q, one, zero = torch.tensor([[3, 4]]), torch.ones(1), torch.zeros(1, dtype=torch.int64)
    for wrong in (
        {"quantized": q, "scale": one, "zero_point": zero, "bits": 2},
        {"quantized": q, "scale": torch.tensor([float("nan")]), "zero_point": zero},
        {"quantized": q, "scale": torch.zeros(1), "zero_point": zero},
        {"quantized": q, "scale": torch.ones(2), "zero_point": zero, "axis": 1},
        {"quantized": q, "scale": one, "zero_point": zero, "axis": 2},
        {"quantized": q, "scale": one, "zero_point": torch.tensor([300])},
        {"quantized": q, "scale": one, "zero_point": zero, "dtype": torch.int32},
    ):
        with refused("submission/codec"):
            affine.record(**wrong)
    for indices, table in ((torch.tensor([2]), torch.ones(2)), (torch.tensor([-1]), torch.ones(2)), (q, torch.ones(0))):
        with refused("submission/codec"):
            codebook.record(indices, table)


@pytest.mark.parametrize("width", range(1, 9))
def test_a_codebook_of_every_width_is_packed(width: int) -> None:
    table = torch.randn(2**width, generator=random(width))
    indices = torch.randint(2**width, (11, 30), generator=random(width + 1))
    record = codebook.record(indices, table)
    assert torch.equal(decode(record, ""), table[indices])
    assert record["indices"]["data"].nbytes == -(-330 * width // 8)
    assert (stored_bits(record, ""), weight_bits(record, "")) == (width, 32)
    assert table_bytes(record) == 4 * 2**width


def test_a_codebook_puts_zero_first_and_halves_what_halves_hold() -> None:
    values = torch.tensor([0.5, -0.0, 0.0, -2.0]).repeat(200)
    record = encode(values, "codebook")
    assert record["codebook"].tolist() == [0.0, 0.5, -2.0] or record["codebook"].tolist() == [0.0, -2.0, 0.5]
    assert record["codebook"].dtype == torch.float16
    assert record["indices"]["bits"] == 2
    assert encode(torch.tensor([0.1, 0.2]).repeat(200), "codebook")["codebook"].dtype == torch.float32


def test_many_distinct_values_get_no_codebook() -> None:
    assert encode(torch.arange(257.0).repeat(20), "codebook")["codec"] == "raw"
    assert encode(torch.arange(256.0).repeat(20), "codebook")["codec"] == "codebook"


@pytest.mark.parametrize(("block", "rows"), [((1, 1), [[1, 0, 0], [0, 0, 1]]), ((2, 2), [[1, 1]])])
def test_the_mask_has_a_bit_an_element_or_a_block(block: tuple[int, int], rows: list[list[int]]) -> None:
    tensor = torch.tensor([[5.0, 0.0, 0.0], [0.0, 0.0, 7.0]])
    big = tensor.repeat(1, 400)
    chain = "sparse" if block == (1, 1) else f"sparse:{block[0]}x{block[1]}"
    record = encode(big if block == (1, 1) else torch.cat([tensor, torch.zeros(2, 3000)], 1), chain)
    assert record["codec"] == "sparse"
    mask = decode(record["mask"], "")
    if block == (1, 1):
        assert mask.reshape(2, 1200)[:, :3].tolist() == rows
        assert decode(record["values"], "").tolist() == [5.0] * 400 + [7.0] * 400
    else:
        assert mask.shape == (1502,)
        assert mask[:3].tolist() == [1, 1, 0]
        assert decode(record["values"], "").tolist() == [5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 7.0, 0.0]
    assert record["mask"]["data"].nbytes == -(-mask.numel() // 8)


def test_micronets_example_takes_what_its_rule_says() -> None:
    """Blocks of 4 x 4, a quarter of them kept, in 8 bits: a bit a block and sixteen bytes for each that is kept."""
    keep = torch.zeros(16, 16)
    keep[::2, ::2] = 1
    codes = torch.randint(1, 200, (64, 64), generator=random(1)) * keep.repeat_interleave(4, 0).repeat_interleave(4, 1)
    zero = torch.zeros(1, dtype=torch.int64)
    record = affine.record(codes.to(torch.uint8), torch.ones(1), zero, steps=Steps((4, 4)))
    assert torch.equal(decode(record, ""), codes.float())
    assert sum(part.nbytes for part in tensors_in(record["codes"])) == 256 // 8 + 64 * 16
    assert chain_of(record, "") == "int8+sparse:4x4"


def test_steps_that_do_not_pay_are_left_out() -> None:
    noise = torch.randint(0, 256, (5000,), dtype=torch.uint8, generator=random(4))
    assert chain_of(encode(noise, "huffman"), "") == "raw"
    assert chain_of(encode(torch.randn(500, generator=random(4)), "sparse"), "") == "raw"
    assert chain_of(encode(torch.randn(5000, generator=random(4)), "sparse+huffman"), "") == "huffman"
    assert chain_of(encode(shared(64, 64), "codebook+sparse+huffman"), "").startswith("codebook")
    assert chain_of(encode(pruned(64, 64), "fp16+sparse"), "") == "fp16+sparse"


@each_tensor
def test_the_smallest_is_the_smallest_that_loses_nothing(tensor: torch.Tensor) -> None:
    assert cost(encode(tensor, "smallest")) <= min(
        cost(encode(tensor, chain)) for chain in LOSSLESS if ":" not in chain
    )


@pytest.mark.parametrize(("chain", "width"), [("raw", 4), ("fp16", 2), ("int8:tensor", 1), ("int4:tensor", 0.5)])
def test_bytes_are_exact(chain: str, width: float) -> None:
    record = encode(torch.rand(8, 3, generator=random(1)), chain)
    assert sum(part.nbytes for part in tensors_in(record)) - table_bytes(record) == 24 * width
    assert stored_bits(record, "") == weight_bits(record, "") == 8 * width


def test_a_view_is_stored_without_the_rest_of_its_storage() -> None:
    assert [part.untyped_storage().nbytes() for part in tensors_in(encode(torch.zeros(1000)[:10], "raw"))] == [40]


def test_entropy_is_shannons() -> None:
    tensor = shared(40, 50, values=20)
    _, counts = np.unique(tensor.numpy(), return_counts=True)
    expected = entropy(counts, base=2) * tensor.numel() / 8
    for chain in ("codebook", "codebook+huffman", "codebook+sparse", "codebook+sparse+huffman"):
        record = encode(tensor, chain)
        assert entropy_bytes(record, "") == pytest.approx(expected + table_bytes(record), rel=1e-9), chain
    kept = tensor[tensor != 0]
    share = len(kept) / tensor.numel()
    assert entropy_bytes(encode(tensor, "sparse"), "") == pytest.approx(
        entropy([share, 1 - share], base=2) * tensor.numel() / 8 + of_bytes(kept)
    )


def of_bytes(tensor: torch.Tensor) -> float:
    """Bytes of a tensor, each place of its elements at the entropy of its bytes."""
    places = tensor.reshape(-1, 1).view(torch.uint8).T.numpy()
    return float(sum(entropy(np.bincount(place), base=2) * len(place) / 8 for place in places))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8])
def test_entropy_of_numbers_is_that_of_their_bytes_however_they_are_coded(dtype: torch.dtype) -> None:
    tensor = (20 * torch.rand(70, 90, generator=random(3))).to(dtype)
    for chain in ("raw", "huffman"):
        assert entropy_bytes(encode(tensor, chain), "") == pytest.approx(of_bytes(tensor), rel=1e-9), chain
    assert entropy_bytes(encode(tensor.float(), "fp16"), "") == pytest.approx(of_bytes(tensor.half()), rel=1e-9)


def test_runs_can_be_coded_below_the_entropy_of_single_symbols() -> None:
    """Whole filters of zeros: what the figure says is no bound, and the guide says so."""
    tensor = torch.randn(128, 64, 3, 3, generator=random(5))
    tensor[torch.randperm(128, generator=random(6))[:64]] = 0
    for chain in ("huffman", "int8+huffman", "int4+huffman"):
        record = encode(tensor, chain)
        assert sum(part.nbytes for part in tensors_in(record)) < 0.9 * entropy_bytes(record, ""), chain


def test_doubles_are_rounded_to_halves_once() -> None:
    above_a_tie = 1 + 2**-11 + 2**-30  # which is the tie itself in single precision, and then goes to the even 1
    below_infinity, above_half_the_least = 65519.9999999, 2**-25 + 2**-60
    values = [above_a_tie, -above_a_tie, below_infinity, above_half_the_least, 1 + 2**-11, 1 + 3 * 2**-11]
    record = encode(torch.tensor(values, dtype=torch.float64), "fp16")
    expected = [1 + 2**-10, -1 - 2**-10, 65504, 2**-24, 1, 1 + 2**-9]
    assert decode(record, "").tolist() == expected
    assert encode(torch.tensor([65520.0], dtype=torch.float64), "fp16")["codec"] == "raw", "infinite as a half"
    assert encode(torch.tensor(0.1, dtype=torch.float64), "fp16")["values"].shape == ()


def test_tensors_of_the_same_bytes_do_not_share_their_memory() -> None:
    index, data = lay_out({name: encode(torch.ones(5), "raw") for name in "ab"})
    found, _ = read_back(index, data, "f.pt")
    first, second = (decode(found[name], "") for name in "ab")
    first.zero_()
    assert second.tolist() == 5 * [1.0]


def octets(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.uint8)


WORKED = {
    "raw": ({"codec": "raw", "values": torch.tensor([1.0, -2.0])}, [1.0, -2.0]),
    "fp16": ({"codec": "fp16", "dtype": "float32", "values": torch.tensor([1.5]).half()}, [1.5]),
    "packed": ({"codec": "packed", "shape": [3], "bits": 5, "data": octets(65, 12)}, [1, 2, 3]),
    "huffman": (
        {
            "codec": "huffman", "dtype": "uint8", "shape": [30], "bits": 8, "lengths": [5],
            "data": octets(99, 100, 192, 7, 0),
        },
        [1] + [0] * 29,
    ),
    "sparse": (
        {
            "codec": "sparse", "dtype": "float32", "shape": [2, 3], "block": [1, 1],
            "mask": {"codec": "packed", "shape": [6], "bits": 1, "data": octets(33)},
            "values": {"codec": "raw", "values": torch.tensor([5.0, 7.0])},
        },
        [[5.0, 0.0, 0.0], [0.0, 0.0, 7.0]],
    ),
    "affine": (
        {
            "codec": "affine", "dtype": "float32", "shape": [2, 2], "bits": 4, "axis": 0,
            "scale": torch.tensor([0.5, 2.0]), "zero_point": torch.tensor([8, 3], dtype=torch.uint8),
            "codes": {"codec": "packed", "shape": [2, 2], "bits": 4, "data": octets(161, 29)},
        },
        [[0.5, -3.0], [-6.0, 2.0]],
    ),
    "codebook": (
        {
            "codec": "codebook", "dtype": "float32", "shape": [4], "codebook": torch.tensor([0.0, 0.25, -1.0]).half(),
            "indices": {"codec": "packed", "shape": [4], "bits": 2, "data": octets(36)},
        },
        [0.0, 0.25, -1.0, 0.0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WORKED)
def test_what_was_published_keeps_its_meaning(name: str) -> None:
    record, expected = WORKED[name]
    assert decode(record, "").tolist() == expected


def test_the_order_of_steps_is_fixed() -> None:
    for wrong in (
        "zip",
        "huffman+sparse",
        "sparse+int8",
        "int3",
        "sparse:0x4",
        "sparse:4x65",
        "fp16+fp16",
        "",
        "raw+huffman",
    ):
        with refused("submission/codec"):
            encode(torch.zeros(1), wrong)


def test_names_of_types_are_torchs() -> None:
    assert all(getattr(torch, name) == dtype for name, dtype in DTYPES.items())


def test_bytes_that_are_the_same_are_stored_once_and_nothing_is_lost() -> None:
    records = {name: encode(tensor, "smallest") for name, tensor in TENSORS.items()}
    again = {**records, "twin": records["bias"]}
    (index, data), (longer, same) = lay_out(records), lay_out(again)
    assert len(data) == len(same)
    found, sizes = read_back(longer, same, "f.pt")
    assert sum(sizes.values()) == len(data)
    assert sizes["twin"] == 0
    assert list(found) == list(again)
    assert all(bits(decode(found[name], "")) == bits(decode(record, "")) for name, record in again.items())
    assert json.loads(zlib.decompress(index)).keys() == records.keys()
