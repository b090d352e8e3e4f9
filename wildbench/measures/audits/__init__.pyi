from ._alteration import alter as alter
from ._audits import Detect as Detect
from ._audits import audit_images as audit_images
from ._audits import run_audits as run_audits
from ._exact import audit_exact as audit_exact
