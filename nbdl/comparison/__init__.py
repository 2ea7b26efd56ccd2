"""Fair comparisons: contenders tuned alike, run from the same beginnings, and the statistics of what came out.

`spec` says what is compared, `experiment` is the protocol, `engine` does the runs on the `workers` and `ledger` remembers
them, `tuning` and `statistics` read them, and `verdict` puts them into words.
"""

from nbdl.comparison.contenders import METHODS, Contender, grid
from nbdl.comparison.experiment import Comparison
from nbdl.comparison.ledger import Ledger
from nbdl.comparison.problem import Problem
from nbdl.comparison.runs import Outcome, Run
from nbdl.comparison.spec import Spec
from nbdl.comparison.verdict import verdict
from nbdl.comparison.workers import Workers, dask, inline, processes

__all__ = [
    "METHODS",
    "Comparison",
    "Contender",
    "Ledger",
    "Outcome",
    "Problem",
    "Run",
    "Spec",
    "Workers",
    "dask",
    "grid",
    "inline",
    "processes",
    "verdict",
]
