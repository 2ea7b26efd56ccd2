"""Early stopping: keep the best network seen on validation, and stop when it has not improved for a while."""

from dataclasses import dataclass

import numpy as np

from nbdl.model import Sequential


@dataclass
class EarlyStopping:
    """Stops after `patience` checks in a row without a score higher than the best by more than `least`."""

    patience: int
    least: float = 0.0
    best: float = -np.inf
    waited: int = 0
    parameters: np.ndarray | None = None

    def stops(self, score: float, model: Sequential) -> bool:
        """Look at one more score; True when it is time to stop. NaN counts as no improvement."""
        if score > self.best + self.least:
            self.best, self.waited, self.parameters = score, 0, model.parameters.flat.copy()
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model: Sequential) -> None:
        """Give the network back the best parameters that were seen."""
        if self.parameters is not None:
            model.parameters.flat[:] = self.parameters
