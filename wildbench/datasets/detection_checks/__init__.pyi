from ._checks import suspect as suspect
from ._checks import validate_predictions as validate_predictions
