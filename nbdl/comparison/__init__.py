"""Fair comparisons: contenders, the runs they make from identical beginnings, and the statistics of what came out."""

from nbdl.comparison.contenders import METHODS, Contender, grid
from nbdl.comparison.engine import Outcome, Problem, compare
from nbdl.comparison.statistics import Summary, summarize

__all__ = ["METHODS", "Contender", "Outcome", "Problem", "Summary", "compare", "grid", "summarize"]
