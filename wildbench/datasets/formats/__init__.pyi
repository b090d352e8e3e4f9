from ._archives import is_archive as is_archive
from ._conversion import ImportReport as ImportReport
from ._conversion import Lost as Lost
from ._conversion import Published as Published
from ._conversion import StrictFindings as StrictFindings
from ._conversion import export_dataset as export_dataset
from ._conversion import import_dataset as import_dataset
