from ._archives import is_archive as is_archive
from ._contact_sheet import contact_sheet as contact_sheet
from ._transfer import ImportReport as ImportReport
from ._transfer import Lost as Lost
from ._transfer import Published as Published
from ._transfer import StrictFindings as StrictFindings
from ._transfer import export_dataset as export_dataset
from ._transfer import import_dataset as import_dataset
