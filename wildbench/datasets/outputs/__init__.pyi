from ._output import Found as Found
from ._output import Output as Output
from ._output import as_results as as_results
