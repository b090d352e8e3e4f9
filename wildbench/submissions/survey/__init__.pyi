from ._draft import misread_form as misread_form
from ._probe import Answered as Answered
from ._probe import Predicted as Predicted
from ._probe import Probe as Probe
from ._probe import predict_as as predict_as
from ._probe import probe as probe
from ._survey import Survey as Survey
from ._survey import survey as survey
