from ._archives import is_archive as is_archive
from ._exporting import Lost as Lost
from ._exporting import export_dataset as export_dataset
from ._importing import ImportReport as ImportReport
from ._importing import Published as Published
from ._importing import StrictFindings as StrictFindings
from ._importing import import_dataset as import_dataset
