from ._page import render as render
from ._row_details import details as details
from ._vega import VEGA_LITE as VEGA_LITE
