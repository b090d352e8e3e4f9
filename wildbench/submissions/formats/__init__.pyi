from .admission import Admitted as Admitted
from .admission import admit as admit
from .admission import find_manifest as find_manifest
from .onnx_file import METADATA_KEY as METADATA_KEY
from .onnx_file import load_graph as load_graph
from .onnx_file import named_tensors as named_tensors
