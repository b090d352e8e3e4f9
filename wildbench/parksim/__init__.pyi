from ._cache import pictures as pictures
from ._generation import generate as generate
from ._generation import scenes as scenes
