from ._accuracy import measure_accuracy as measure_accuracy
from ._errors import measure_errors as measure_errors
