from ._answer import Outputs as Outputs
from ._answer import naming as naming
from ._answer import summary as summary
from ._decode import Decoded as Decoded
from ._decode import decode as decode
from ._decode import nms as nms
