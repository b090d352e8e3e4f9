from ._cache import SEED as SEED
from ._cache import is_complete as is_complete
from ._cache import pictures_folder as pictures_folder
from ._generation import generate as generate
from ._generation import render as render
from ._rendering import pictures as pictures
