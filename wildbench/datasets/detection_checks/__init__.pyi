from ._checks import check_detections as check_detections
from ._checks import suspect as suspect
