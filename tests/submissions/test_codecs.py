import io

import pytest
import torch

from wildbench.errors import SubmissionError
from wildbench.submissions.codecs import CODECS, decode, encode, storages

SPECIAL = torch.tensor([0.0, -0.0, 1e-8, -1e-45, 65504.0, -1.0, 0.1, float("inf"), float("-inf"), float("nan")])
TENSORS = [
    SPECIAL,
    torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(1)),
    torch.tensor(3.5),
    torch.empty(0, 4),
    torch.arange(7),
    torch.tensor([True, False]),
    torch.randn(5, generator=torch.Generator().manual_seed(2)).double(),
]


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def stored(record: dict) -> dict:
    """A record after a trip through a file that holds plain data only."""
    buffer = io.BytesIO()
    torch.save(record, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("tensor", TENSORS, ids=lambda tensor: f"{tensor.dtype} {list(tensor.shape)}")
def test_decoding_gives_the_same_bits_after_a_trip_through_a_file(codec: str, tensor: torch.Tensor) -> None:
    record = encode(tensor, codec)
    there, again = decode(record, ""), decode(stored(record), "")
    assert there.dtype == again.dtype == tensor.dtype
    assert there.shape == again.shape == tensor.shape
    assert bits(there) == bits(again)


@pytest.mark.parametrize("tensor", TENSORS, ids=lambda tensor: f"{tensor.dtype} {list(tensor.shape)}")
def test_raw_keeps_every_bit(tensor: torch.Tensor) -> None:
    assert bits(decode(encode(tensor, "raw"), "")) == bits(tensor)


def test_fp16_rounds_to_the_nearest_half() -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(3))
    assert torch.equal(decode(encode(values, "fp16"), ""), values.half().float())
    assert decode(encode(torch.tensor([1 + 2**-11]), "fp16"), "").item() == 1.0  # halfway: to even


def test_fp16_leaves_alone_what_it_cannot_hold() -> None:
    for tensor in (torch.tensor([70000.0]), torch.arange(3), torch.tensor([True])):
        record = encode(tensor, "fp16")
        assert record["codec"] == "raw"
        assert torch.equal(decode(record, ""), tensor)


@pytest.mark.parametrize(("codec", "width"), [("raw", 4), ("fp16", 2)])
def test_bytes_are_exact(codec: str, width: int) -> None:
    assert sum(storages(encode(torch.zeros(7, 3), codec)).values()) == 21 * width


def test_a_view_is_stored_without_the_rest_of_its_storage() -> None:
    assert sum(storages(encode(torch.zeros(1000)[:10], "raw")).values()) == 40


def test_tensors_that_share_a_storage_keep_sharing_it() -> None:
    weight = torch.zeros(8)
    assert storages(encode(weight, "raw")) == storages(encode(weight, "raw"))


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"codec": "int3", "values": torch.zeros(1)}, "f.pt: w: codec 'int3' is unknown to this wildbench; upgrade"),
        ({"values": torch.zeros(1)}, "codec None is unknown"),
        (torch.zeros(1), "codec None is unknown"),
        ({"codec": ["raw"]}, "codec .'raw'. is unknown"),
        ({"codec": "raw"}, "damaged raw record"),
        ({"codec": "raw", "values": 3}, "holds no dense tensor"),
        ({"codec": "raw", "values": torch.zeros(2, 2).to_sparse()}, "holds no dense tensor"),
        ({"codec": "fp16", "values": torch.zeros(1).half()}, "damaged fp16 record"),
        ({"codec": "fp16", "dtype": "float32", "values": "x"}, "damaged fp16 record"),
    ],
)
def test_a_record_that_is_none_is_refused(record: object, problem: str) -> None:
    with pytest.raises(SubmissionError, match=problem):
        decode(record, "f.pt: w")  # type: ignore[arg-type]


def test_an_unknown_codec_names_those_there_are() -> None:
    with pytest.raises(SubmissionError, match="no codec 'zip'; use one of fp16, raw"):
        encode(torch.zeros(1), "zip")
