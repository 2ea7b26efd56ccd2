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
    kept: np.ndarray | None = None

    def stops(self, score: float, model: Sequential) -> bool:
        """Look at one more score; True when it is time to stop. NaN counts as no improvement."""
        if score > self.best + self.least:
            self.best, self.waited, self.kept = score, 0, model.snapshot()
        else:
            self.waited += 1
        return self.waited >= self.patience

    def restore(self, model: Sequential) -> None:
        """Give the network back the best parameters that were seen, and the buffers that belong to them."""
        if self.kept is not None:
            model.restore(self.kept)
