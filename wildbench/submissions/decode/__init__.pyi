from ._decode import Decoded as Decoded
from ._decode import Outputs as Outputs
from ._decode import decode as decode
from ._decode import nms as nms
from ._decode import summary as summary
