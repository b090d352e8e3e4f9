from ._adapter import Adapter as Adapter
from ._foreign import FOREIGN as FOREIGN
from ._foreign import foreign as foreign
