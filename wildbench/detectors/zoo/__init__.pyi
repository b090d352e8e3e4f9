from ._published import known_categories as known_categories
from ._small_fcos import LitePyramid as LitePyramid
from ._zoo import SMALL as SMALL
from ._zoo import build as build
from ._zoo import names as names
from ._zoo import obeys_partial_labels as obeys_partial_labels
from ._zoo import predicts_masks as predicts_masks
