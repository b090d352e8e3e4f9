from ._onnx_int8 import export as export
