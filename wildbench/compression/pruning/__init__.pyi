from ._filters import Filters as Filters
