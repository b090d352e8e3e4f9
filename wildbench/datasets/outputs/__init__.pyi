from ._tool_output import CALLED as CALLED
from ._tool_output import Found as Found
from ._tool_output import Output as Output
from ._tool_output import as_results as as_results
from ._tool_output import synonyms as synonyms
