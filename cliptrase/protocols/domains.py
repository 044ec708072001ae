"""Benchmarks of many data sets whose figures are averaged by domain, as MESS's are."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class DomainBenchmark:
    """Which data sets a benchmark has, in which domains, and how their scores become its figures.

    A figure is the score of a data set, or the mean over several that are parts of one. The mean of a domain is over
    its figures, and the mean of the benchmark is over all figures.

    Attributes:
        name: as results and tables call it.
        source: the paper.
        definition: name of the definition of scores that tables show.
        domains: by domain its figures, by figure its data sets.
        note: a sentence for below its tables.

    Example:
        >>> domains = {"Home": {"Kitchen": ("Kitchen",), "Bed": ("Bed-1", "Bed-2")}}
        >>> rooms = DomainBenchmark("Rooms", "a paper", "mmseg", domains)
        >>> rooms.size, rooms.figure_of("Bed-2"), rooms.domain_of("Bed")
        (2, 'Bed', 'Home')
    """

    name: str
    source: str
    definition: str
    domains: Mapping[str, Mapping[str, tuple[str, ...]]]
    note: str = ""

    @cached_property
    def figures(self) -> dict[str, tuple[str, ...]]:
        """By figure its data sets."""
        return {figure: sets for figures in self.domains.values() for figure, sets in figures.items()}

    @property
    def size(self) -> int:
        """Number of figures."""
        return len(self.figures)

    def figure_of(self, data_set: str) -> str:
        """The figure that a data set's scores are part of."""
        return next(figure for figure, sets in self.figures.items() if data_set in sets)

    def domain_of(self, figure: str) -> str:
        """The domain of a figure."""
        return next(domain for domain, figures in self.domains.items() if figure in figures)
