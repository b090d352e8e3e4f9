"""The numbers of a stored tensor, also where one takes less than a byte or is of a type that numpy does not know."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

SIGNLESS = {"bfloat16": ("uint16", 0x7FFF), "float8_e4m3fn": ("uint8", 0x7F), "float8_e5m2": ("uint8", 0x7F)}
"""Floats that numpy does not know, and what is left of their bits without the sign: 0 for 0 and for -0."""

PLAIN = {"bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))}
PLAIN |= {"float16", "float32", "float64"}


def stored_values(data: bytes, dtype: str, elements: int) -> npt.NDArray[Any] | None:
    """As many numbers as there are elements, in which 0 stands for 0; None for a type that is not known.

    Numbers of 1, 2 or 4 bits are packed from the lowest bits of each byte up, as LiteRT and OpenVINO have them.

    Raises:
        ValueError: There are fewer bytes.

    Example:
        >>> stored_values(bytes([0xF1, 0x08]), "int4", 3).tolist()
        [1, -1, -8]
    """
    if dtype in SIGNLESS:
        kind, mask = SIGNLESS[dtype]
        floats: npt.NDArray[Any] = np.frombuffer(data, kind, elements)
        return floats & mask
    if dtype in PLAIN:
        return np.frombuffer(data, dtype, elements)
    narrow = re.fullmatch("(u?)int([124])", "uint4" if dtype == "nf4" else dtype)
    if narrow is None:
        return None
    bits = int(narrow[2])
    packed = np.frombuffer(data, np.uint8, -(-elements * bits // 8))
    codes = packed[:, None] >> np.arange(0, 8, bits) & (2**bits - 1)
    numbers: npt.NDArray[Any] = codes.reshape(-1)[:elements]
    if dtype == "nf4":
        return numbers - 7  # the eighth of NormalFloat's sixteen steps is 0
    return numbers if narrow[1] else np.where(numbers >= 2 ** (bits - 1), numbers - 2**bits, numbers)
