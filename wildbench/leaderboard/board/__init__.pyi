from ._board import build_board as build_board
from ._lineage import NOT_HERE as NOT_HERE
from ._model import Board as Board
from ._model import Front as Front
from ._model import Row as Row
from ._model import Section as Section
from ._model import read_board as read_board
