"""A measure: the energy of an image's arithmetic, without memory accesses."""

from wildbench.measures import Evidence, Measure
from wildbench.scorecard import Figure

JOULES_PER_MAC = 4.6e-12  # Horowitz (2014): a multiplication and an addition in float32, at 45 nm


class Energy(Measure):
    key, title, unit, better, limits = "energy", "energy", "mJ", "lower", (1e-3, 1e6)

    def measure(self, evidence: Evidence) -> Figure:
        compute = evidence.card.compute
        if compute is None or compute.macs.value is None:
            return Figure.undefined(self.unit, "nothing was counted")
        return Figure(value=1e3 * JOULES_PER_MAC * compute.macs.value, unit=self.unit, n=compute.macs.n)
