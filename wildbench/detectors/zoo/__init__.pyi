from ._published import known_categories as known_categories
from ._zoo import Detector as Detector
from ._zoo import build as build
from ._zoo import detector as detector
from ._zoo import names as names
