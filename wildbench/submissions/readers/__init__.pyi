from ._contradictions import contradictions as contradictions
from ._reader import Described as Described
from ._reader import Reader as Reader
from ._reader import Reading as Reading
from ._reader import Words as Words
from ._reader import named as named
from ._reader import read_manifest as read_manifest
