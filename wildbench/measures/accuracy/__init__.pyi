from ._accuracy import measure_accuracy as measure_accuracy
from ._errors import measure_errors as measure_errors
from ._mean_iou import best_threshold as best_threshold
