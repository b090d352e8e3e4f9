from ._alteration import alter as alter
from ._audits import Detect as Detect
from ._audits import audit_images as audit_images
from ._audits import run_audits as run_audits
from ._audits import scored_evidence as scored_evidence
from ._audits import stated_bound as stated_bound
from ._exact import audit_exact as audit_exact
