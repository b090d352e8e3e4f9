from ._model import Board as Board
from ._model import Column as Column
from ._model import Front as Front
from ._model import Row as Row
from ._model import Section as Section
from ._model import read_board as read_board
from ._recompute import results_of as results_of
