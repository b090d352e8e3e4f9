from ._finetune import FineTune as FineTune
from ._finetune import check_categories as check_categories
from ._recalibrate import Recalibrate as Recalibrate
from ._recalibrate import norms_of as norms_of
from ._scratch import FromScratch as FromScratch
