from ._animal import Individual as Individual
from ._animal import Light as Light
from ._animal import Sprite as Sprite
from ._animal import View as View
from ._animal import height_m as height_m
from ._animal import length_m as length_m
from ._animal import postures as postures
from ._animal import render_animal as render_animal
