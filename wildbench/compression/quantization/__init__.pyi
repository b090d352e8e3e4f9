from ._calibration import Site as Site
from ._calibration import looking as looking
from ._calibration import opened as opened
from ._onnx_int8 import export as export
