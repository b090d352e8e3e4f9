from ._cache import SEED as SEED
from ._generation import generate as generate
from ._generation import render as render
from ._rendering import pictures as pictures
