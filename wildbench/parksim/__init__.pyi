from ._cache import pictures as pictures
from ._generation import fresh_scenes as fresh_scenes
from ._generation import generate as generate
