from ._findings import WHOLE as WHOLE
from ._findings import Finding as Finding
from ._findings import lines as lines
from ._findings import off_by_one as off_by_one
from ._findings import place_of as place_of
from ._findings import read_document as read_document
from ._findings import refusal as refusal
from ._validation import validate as validate
