"""What a training leaves behind: one record an epoch, with every clock beside every loss."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from nbdl.evaluation import Evaluation
from nbdl.training import Step, Training


@dataclass(frozen=True)
class Epoch:
    """Counts since the start, training seconds (evaluation is off the clock), and how good the network was.

    train_loss is the mean over the epoch's batches while the weights moved; a part of an epoch counts as one when the
    budget ends inside it. validation_accuracy is None for regression, validation_r2 for classification.
    """

    epoch: int
    updates: int
    examples: int
    seconds: float
    rate: float
    train_loss: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    validation_r2: float | None = None

    @property
    def score(self) -> float:
        """The number that larger means better, for early stopping."""
        if self.validation_accuracy is not None:
            return self.validation_accuracy
        return -self.validation_loss if self.validation_loss is not None else -self.train_loss


@dataclass
class History:
    """The epochs of one run so far, and the sums of the epoch that is under way."""

    epochs: list[Epoch] = field(default_factory=list)
    loss_sum: float = 0.0
    samples: int = 0

    def record(
        self,
        training: Training,
        validation: Evaluation | None = None,
        tick: Callable[[Step], bool] | None = None,
    ) -> Iterator[Epoch]:
        """Train to the end of the budget, or until `tick(step)` says stop; yield after each epoch."""
        before = training.examples
        for step in training.steps():
            self.loss_sum += step.loss * (step.examples - before)
            self.samples += step.examples - before
            before = step.examples
            stop = tick is not None and tick(step)
            if step.ends_epoch or (training.budget.spent(step) and not stop):
                self.epochs.append(self._close(step, training, validation))
                yield self.epochs[-1]
            if stop:
                return

    def _close(self, step: Step, training: Training, validation: Evaluation | None) -> Epoch:
        mean = self.loss_sum / self.samples
        self.loss_sum, self.samples = 0.0, 0
        seen: tuple = ()
        if validation is not None:
            training.fetch()
            result = validation.run()
            seen = result.loss, result.accuracy, result.r2
        return Epoch(step.epoch, step.update, step.examples, step.seconds, step.rate, mean, *seen)

    def as_data(self) -> dict[str, Any]:
        """Plain data for a checkpoint; `History.from_data` takes it back."""
        return {"epochs": [asdict(e) for e in self.epochs], "loss_sum": self.loss_sum, "samples": self.samples}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> "History":
        return cls([Epoch(**epoch) for epoch in data["epochs"]], data["loss_sum"], data["samples"])
