from ._child import Opened as Opened
from ._child import open_submission as open_submission
from ._parent import Answer as Answer
from ._parent import Sandbox as Sandbox
from ._parent import ask as ask
from ._processor import processor_seconds as processor_seconds
from ._wire import Detections as Detections
from ._wire import check_detections as check_detections
