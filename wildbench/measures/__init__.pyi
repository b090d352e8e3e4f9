from .figures import Evidence as Evidence
from .figures import Measure as Measure
from .figures import all_measures as all_measures
from .figures import figure_of as figure_of
from .figures import hardware as hardware
from .figures import measure_added as measure_added
