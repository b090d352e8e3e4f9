"""A measure: energy, made up from the multiply-accumulates."""

from wildbench.measures import Evidence, Measure
from wildbench.scorecard import Figure


class Energy(Measure):
    """4.6 pJ for each MAC (a made-up number)."""

    key, title, unit, better, limits = "energy", "energy", "mJ", "lower", (1e-6, 1e3)

    def measure(self, evidence: Evidence) -> Figure:
        compute = evidence.card.compute
        if compute is None or compute.macs.value is None:
            return Figure.undefined(self.unit, "no MACs were counted")
        return Figure(value=4.6e-9 * compute.macs.value, unit=self.unit, n=compute.macs.n)
