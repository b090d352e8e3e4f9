"""Reading stored numbers, against the types that ml_dtypes has."""

import ml_dtypes
import numpy as np
import pytest

from wildbench.submissions.graphs import Table, stored_values, type_name

WHOLE = np.arange(256, dtype=np.uint8).tobytes()


@pytest.mark.parametrize("dtype", ["int4", "uint4", "int2", "uint2"])
def test_numbers_of_less_than_a_byte(dtype: str) -> None:
    per_byte = 8 // int(dtype[-1])
    numbers = np.arange(256 * per_byte) % 2 ** int(dtype[-1])
    theirs = numbers.astype(np.uint8).view(f"u{1}").astype(getattr(ml_dtypes, dtype.replace("int", "int")))
    packed = (numbers.reshape(-1, per_byte) << np.arange(0, 8, int(dtype[-1]))).sum(axis=1).astype(np.uint8).tobytes()
    mine = stored_values(packed, dtype, len(numbers))
    assert mine is not None
    assert mine.tolist() == theirs.astype(int).tolist()
    assert stored_values(packed, dtype, 3).tolist() == mine[:3].tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float16", "int8", "uint64", "float32"])
def test_what_is_zero_is_zero(dtype: str) -> None:
    theirs = np.frombuffer(WHOLE, getattr(ml_dtypes, dtype, dtype))
    mine = stored_values(WHOLE, dtype, len(theirs))
    assert mine is not None
    assert [bool(one) for one in mine] == [float(one) != 0 for one in theirs]


def test_a_type_that_nobody_knows_and_too_few_bytes() -> None:
    assert stored_values(WHOLE, "resource", 3) is None
    assert stored_values(bytes([0x78]), "nf4", 2).tolist() == [1, 0]  # type: ignore[union-attr]
    for dtype in ("float32", "int4", "bfloat16"):
        with pytest.raises(ValueError, match="buffer"):
            stored_values(b"\0", dtype, 3)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xff\xff\xff", b"\x04\0\0\0\x00\x00\x00\x80", b"\x04\0\0\0\xff\xff\xff\x7f"]
)
def test_offsets_beyond_the_file_are_damage(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Table.root(data)


def test_types_have_the_names_that_width_of_reads() -> None:
    assert type_name("f8e5m2") == "float8_e5m2"
    assert type_name("U1") == "uint1"
