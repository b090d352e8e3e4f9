from ._preprocess import Placement as Placement
from ._preprocess import Preprocessor as Preprocessor
from ._preprocess import masks_to_image as masks_to_image
from ._preprocess import place as place
from ._preprocess import to_image as to_image
