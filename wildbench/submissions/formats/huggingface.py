"""Hugging Face folders: `config.json` and `model.safetensors`, as `save_pretrained` writes them.

The weights hold no code. The network is the one that transformers has under the name in the configuration; code that a
folder brings is never run.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wildbench.submissions.formats._format import Format, Listing, Port, Signature, Tensor, width_of
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.source import Source

if TYPE_CHECKING:
    import torch
    from torch import nn

    from wildbench.submissions.formats._torch_backend import TorchBackend

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
BY_ONNX = "export it to ONNX: optimum-cli export onnx --model FOLDER --task object-detection OUT"

MASKED = ("detr", "conditional_detr", "deformable_detr", "dab-detr", "table-transformer")
"""Architectures that are also told which pixels are padding."""

DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "U8": "uint8", "BOOL": "bool"}
DTYPES |= {f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)}

PART = re.compile(r"-\d{5}-of-\d{5}\.")
"""In the name of one of several files that hold a network together."""

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


class HuggingFace(Format):
    """A detector of transformers."""

    name, suffix, title = "huggingface", ".safetensors", "a Hugging Face folder"
    runs_code = False
    extra = "huggingface"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "wildbench.submissions.formats._torch_backend", "transformers")
    counter = "wildbench.measures.compute:count_torch"

    def sniff(self, source: Source) -> bool:
        """A length, and a header in JSON, of a whole network."""
        if PART.search(source.main):
            return False
        return source.data[8:10] == b'{"' and int.from_bytes(source.data[:8], "little") <= len(source.data) - 8

    def companions(self, source: Source) -> Sequence[str]:
        """The configuration, and that of the processor where there is one."""
        return [CONFIG, *([PROCESSOR] if source.beside(PROCESSOR) is not None else [])]

    def signature(self, source: Source) -> Signature:
        """Pixels, and perhaps which of them are padding; logits and boxes. What is no detector is refused."""
        config = source.parsed(read_config)
        _refuse_others(source, config)
        masked = config.get("model_type") in MASKED
        mask = (Port("pixel_mask", (None, None, None), "int64"),) if masked else ()
        softmax = config.get("model_type") in ("detr", "table-transformer", "yolos")
        labels = config.get("id2label")
        columns = len(labels) + softmax if isinstance(labels, dict) else None
        outputs = (Port("logits", (None, None, columns), "float32"), Port("pred_boxes", (None, None, 4), "float32"))
        return Signature((Port("pixel_values", (None, 3, None, None), "float32"), *mask), outputs)

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """What the header lists."""
        header, values = source.parsed(_header)
        tensors = []
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            dtype = DTYPES[entry["dtype"]]
            data = np.frombuffer(values[begin:end], np.uint16 if dtype == "bfloat16" else dtype)
            data = data & 0x7FFF if dtype == "bfloat16" else data  # zero whatever its sign
            tensors.append(
                Tensor(
                    name=name,
                    shape=tuple(entry["shape"]),
                    dtype=dtype,
                    codec="raw",
                    bytes=end - begin,
                    nonzero=int(np.count_nonzero(data)),
                    parameter=not name.endswith(BUFFERS),
                    bits=width_of(dtype),
                    stored_bits=width_of(dtype),
                )
            )
        others = sum(len(data) for name, data in source.files.items() if name != source.main)
        return Listing(tensors, {"header": len(source.data) - len(values), "configuration": others})

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> TorchBackend:
        """Build the network that transformers has by that name, and fill it with the tensors."""
        import transformers

        from wildbench.submissions.formats._torch_backend import TorchBackend, torch_device

        device = torch_device(device, threads)
        try:
            module = self.load(source)
        except MemoryError:
            raise
        except Exception as error:  # of many kinds, for an architecture that is not there or does not fit
            problem = f"transformers {transformers.__version__} cannot open it ({' '.join(str(error).split())[:300]})"
            raise source.error(problem, code="cannot-open", remedy=BY_ONNX) from None
        return TorchBackend(module.to(device), device, manifest)

    def load(self, source: Source) -> nn.Module:
        """The network in float32 and evaluation mode, whatever its tensors are stored in."""
        import torch
        from transformers import MODEL_FOR_OBJECT_DETECTION_MAPPING, AutoConfig

        document = dict(source.parsed(read_config))
        if document.get("use_pretrained_backbone"):  # else timm fetches weights that the file's own replace
            document["use_pretrained_backbone"] = False
        config = AutoConfig.for_model(**document)
        header, values = source.parsed(_header)
        state = {name: _tensor(entry, values) for name, entry in header.items()}
        model = MODEL_FOR_OBJECT_DETECTION_MAPPING[type(config)].from_pretrained(
            None, config=config, state_dict=state, dtype=torch.float32, local_files_only=True
        )
        return _pair(model.eval())


def _refuse_others(source: Source, config: dict[str, Any]) -> None:
    """What is no detector, or needs code from elsewhere."""
    if "auto_map" in config:
        raise source.error("needs code that its folder or the Hub brings", code="remote-code", remedy=BY_ONNX)
    architectures = config.get("architectures") or ["no architecture"]
    if not str(architectures[0]).endswith("ForObjectDetection"):
        problem = f"a transformers network, but not a detector ({architectures[0]})"
        raise source.error(problem, code="no-detector", remedy="submit a model of AutoModelForObjectDetection")


def read_config(source: Source) -> dict[str, Any]:
    """The configuration beside the weights; a SubmissionError where it is damaged."""
    try:
        config = json.loads(source.beside(CONFIG) or b"")
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise source.error(f"{CONFIG} is missing, or not a JSON object")
    return config


def _header(source: Source) -> tuple[dict[str, Any], memoryview]:
    """What each tensor is and where its bytes lie, and all bytes; a SubmissionError where they do not go together.

    https://github.com/huggingface/safetensors#format
    """
    size = int.from_bytes(source.data[:8], "little")
    values = memoryview(source.data)[8 + size :]
    try:
        header = json.loads(source.data[8 : 8 + size])
        header.pop("__metadata__", None)
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            bits = 8 if entry["dtype"] == "BOOL" else width_of(DTYPES[entry["dtype"]]) or 0
            if not 0 <= begin <= end <= len(values) or 8 * (end - begin) != math.prod(entry["shape"]) * bits:
                raise ValueError(f"{name} has no such bytes")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise source.error(f"damaged header ({str(error)[:200]})") from None
    return header, values


def _tensor(entry: dict[str, Any], values: memoryview) -> torch.Tensor:
    import torch

    begin, end = entry["data_offsets"]
    dtype = getattr(torch, DTYPES[entry["dtype"]])
    if begin == end:
        return torch.zeros(entry["shape"], dtype=dtype)
    return torch.frombuffer(bytearray(values[begin:end]), dtype=dtype).reshape(entry["shape"])


def _pair(model: nn.Module) -> nn.Module:
    """The network, answering with its logits and boxes alone."""
    model.register_forward_hook(lambda _, __, answer: {"logits": answer["logits"], "pred_boxes": answer["pred_boxes"]})
    return model


FORMAT = HuggingFace()
