"""Training as a generator of steps: gather a batch, go forward, measure the loss, go backward, update the weights.

Batch size is just a number: 1 is stochastic, n is batch, anything between is mini-batch gradient descent. The loss is the
mean over the batch, so one learning rate means the same for all three.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import numba
import numpy as np

from nbdl import linking
from nbdl.arena import Arena, check_memory
from nbdl.compiling import at_once
from nbdl.errors import NbdlError
from nbdl.kernel import Call
from nbdl.kernels.clip import chunks, clip_by_global_norm
from nbdl.losses import Loss
from nbdl.model import Sequential
from nbdl.optimizers import SGD, Optimizer
from nbdl.program import Announce, Data, Program, fit_data, states_of, streams
from nbdl.schedules import schedule as read_schedule

BLOW_UP = 1000.0  # a loss this many times the first one (or 1, if that is larger) is not coming back


class Diverged(NbdlError):
    """Training left the road: `kind` is nonfinite or blow-up, `update` the number of the update where it was seen."""

    def __init__(self, kind: str, update: int, loss: float, rate: float):
        self.kind, self.update, self.loss, self.rate = kind, update, loss, rate
        super().__init__(
            f"training diverged ({kind}) at update {update}: the loss was {loss:.3g} with learning rate {rate:.3g}. "
            "Try a learning rate ten times smaller, or clip the gradient: --clip 1 (clip=1.0)."
        )


class Step(NamedTuple):
    """One update: counts since the start (not since a resume), training seconds, the loss of the batch before it."""

    epoch: int  # from 1
    update: int
    examples: int
    seconds: float
    loss: float
    rate: float
    ends_epoch: bool


@dataclass(frozen=True)
class Budget:
    """How long to train: whichever of these is reached first, counted from the very first update."""

    epochs: int | None = None
    updates: int | None = None
    examples: int | None = None
    seconds: float | None = None

    def __post_init__(self):
        given = {name: value for name, value in vars(self).items() if value is not None}
        if not given:
            raise NbdlError("a budget needs epochs, updates, examples or seconds.")
        for name, value in given.items():
            if not (value > 0 and math.isfinite(value)):
                raise NbdlError(f"the budget of {name} is {value}; expected a number above 0.")

    def total_updates(self, n: int, batch: int) -> int:
        """Updates that a schedule should reckon with; a budget in seconds alone counts as 1000."""
        per_epoch = -(-n // batch)
        bounds = [self.updates, self.epochs and self.epochs * per_epoch, self.examples and -(-self.examples // batch)]
        return min((bound for bound in bounds if bound), default=1000)

    def spent(self, step: Step) -> bool:
        return (
            (self.epochs is not None and step.epoch >= self.epochs and step.ends_epoch)
            or (self.updates is not None and step.update >= self.updates)
            or (self.examples is not None and step.examples >= self.examples)
            or (self.seconds is not None and step.seconds >= self.seconds)
        )


class Training:
    """One network being trained on one set of samples: programs, optimizer state and the place in the shuffle.

    `batch` is a number from 1 to the number of samples, or "full". `clip` bounds the norm of the whole gradient.
    `fuse` lets plain gradient descent write its update straight from the backward pass (the same step, less memory
    traffic); the gradients are then not kept. Samples that are `continuous` are read in `batch` streams side by side, in
    order, and recurrent layers start where they ended the batch before; each epoch begins anew. Everything random comes
    from `seed` and the counters: a run resumed from `state` gives the same bits as one never stopped.
    """

    def __init__(
        self,
        model: Sequential,
        data: Data,
        loss: Loss,
        optimizer: Optimizer,
        *,
        batch: int | str = 32,
        budget: Budget | None = None,
        schedule: str = "constant",
        clip: float | None = None,
        seed: int = 0,
        backend: str = "auto",
        fuse: bool = True,
        shuffle: bool = True,
        announce: Announce = None,
    ):
        if not len(data):
            raise NbdlError("there are no samples to train on.")
        n = len(data)
        if batch != "full" and not (isinstance(batch, int) and 1 <= batch <= n):
            raise NbdlError(f"the batch size is {batch}; expected a whole number from 1 to {n} (all samples), or full.")
        if clip is not None and not clip > 0:
            raise NbdlError(f"the gradient is to be clipped at {clip}; expected a number above 0.")
        self.model, self.loss, self.optimizer, self.backend = model, loss, optimizer, backend
        self.data = fit_data(data, loss, model)
        self.batch = n if batch == "full" else int(batch)
        self.budget, self.schedule, self.clip, self.seed = budget or Budget(epochs=10), schedule, clip, seed
        self._announce = announce
        self.epoch, self.position, self.updates, self.examples, self.seconds = 0, 0, 0, 0, 0.0
        self._first_loss: float | None = None

        dtype = model.dtype
        self._fused = fuse and isinstance(optimizer, SGD) and clip is None
        copies = 1 + len(optimizer.states) + (not self._fused)  # parameters, what the optimizer keeps, the gradient
        check_memory(copies * model.parameters.nbytes, f"Training this network by {optimizer.name}")
        self.state = [self._like(model.parameters, f"Optimizer {optimizer.name}") for _ in optimizer.states]
        self.gradients = model.parameters if self._fused else self._like(model.parameters, "The gradient")
        self._numbers: Any = np.zeros(len(optimizer.numbers(1.0, 1)), dtype)
        self._blend: Any = np.array([1, 0], dtype)
        self._counter: Any = np.array([seed, 0], np.uint64)
        self._order: Any = streams(n, self.batch) if data.continuous else np.arange(n, dtype=np.int64)
        n = self.samples = len(self._order)
        self.shuffle = shuffle and not data.continuous
        self.states = states_of(model, self.batch, backend) if data.continuous else None
        self._position: Any = np.zeros(1, np.int64)
        self._on_device = backend == "cuda"
        if self._on_device:
            self._move_to_device()
        at_once(self._bind, announce)

    def _bind(self) -> None:
        """The calls of the update and of all steps."""
        self._programs: dict[int, tuple[linking.Step, Any, Program]] = {}
        self._update = self._bind_update()
        self._steps(self.batch)
        if self.samples % self.batch:
            self._steps(self.samples % self.batch)

    def _like(self, pattern: Arena, what: str) -> Arena:
        arena = Arena(self.model.dtype, f"{what} of this network")
        for name, shape in pattern.shapes.items():
            arena.reserve(name, shape)
        return arena.allocate("cuda" if self.backend == "cuda" else "cpu")

    def _move_to_device(self) -> None:
        from nbdl.cuda import to_device

        self._parameters = self._like(self.model.parameters, "The parameters")
        self._buffers = self._like(self.model.buffers, "The buffers")
        self.send()
        if self._fused:
            self.gradients = self._parameters
        for name in ("_numbers", "_blend", "_counter", "_order", "_position"):
            setattr(self, name, to_device(getattr(self, name)))

    @property
    def parameters(self) -> Arena:
        """The parameters where training changes them: the model's own, or their copy on the GPU."""
        return self._parameters if self._on_device else self.model.parameters

    @property
    def buffers(self) -> Arena:
        """The buffers where training changes them, as `parameters`."""
        return self._buffers if self._on_device else self.model.buffers

    def _bind_update(self) -> list[Call]:
        if self._fused:
            return []
        w, g = self.parameters.flat, self.gradients.flat
        calls = []
        if self.clip is not None:
            self.norm = np.zeros(1, self.model.dtype)
            partial = np.zeros(chunks(g.size), self.model.dtype)
            if self._on_device:
                from nbdl.cuda import to_device

                self.norm, partial = to_device(self.norm), to_device(partial)
            calls.append(
                clip_by_global_norm.bind(
                    self.backend, g, self.norm, partial, float(self.clip), label="clip", announce=self._announce
                )
            )
        states = [state.flat for state in self.state]
        kernel = self.optimizer.kernel
        return [
            *calls,
            kernel.bind(self.backend, w, *states, g, self._numbers, label="update", announce=self._announce),
        ]

    def _steps(self, batch: int):
        """Machine code and arguments of a whole step for one batch size, bound when first asked for."""
        if batch not in self._programs:
            program = Program(
                self.model,
                batch,
                self.loss,
                self.data,
                order=self._order,
                position=self._position,
                backend=self.backend,
                parameters=self.parameters,
                buffers=self.buffers,
                gradients=self.gradients,
                blend=self._blend,
                counter=self._counter,
                states=self.states,
                carry=self.states is not None,
                announce=self._announce,
            )
            step = linking.Step([*program.calls, *self._update])
            self._programs[batch] = step, program.memory["loss"], program
        return self._programs[batch]

    @property
    def program(self) -> Program:
        """The program of a whole batch."""
        return self._steps(self.batch)[2]

    @property
    def calls(self) -> list[Call]:
        """Every kernel call of one step."""
        return self._steps(self.batch)[0].calls

    def rewind(self) -> None:
        """Point the calls at the first batch of the order, so that they can be run by themselves, to time them."""
        if self._on_device:
            self._position.copy_to_device(np.zeros(1, np.int64))
        else:
            self._position[0] = 0

    @property
    def flops(self) -> int:
        """Floating-point operations of one step."""
        return sum(call.flops for call in self.calls)

    def _begin_epoch(self) -> None:
        if self.states is not None and self.states.size and not self.position:
            if self._on_device:
                self.states.flat.copy_to_device(np.zeros(self.states.size, self.states.dtype))
            else:
                self.states.flat[:] = 0
        if self.shuffle:
            order = next(self._shuffles)
            if self._on_device:
                self._order.copy_to_device(order)
            else:
                self._order[:] = order

    def steps(self) -> Iterator[Step]:
        """Train until the budget is spent, yielding after every update.

        Seconds count training only: what the caller does between two steps is not on the clock.
        Raises Diverged as soon as a loss is not finite or has blown up.
        """
        n, batch, optimizer = self.samples, self.batch, self.optimizer
        factor = read_schedule(self.schedule, self.budget.total_updates(n, batch))
        steady = self.schedule == "constant" and optimizer.numbers(1.0, 1) == optimizer.numbers(1.0, 2)
        counter, position, device = self._counter, self._position, self._on_device
        rate = optimizer.learning_rate * factor(self.updates)
        self._set_numbers(rate)
        self._shuffles = shuffles(n, self.seed, self.epoch)
        if self.position:
            self._begin_epoch()
        programs, spent, at = self._programs, self.budget.spent, self.position
        while True:
            start = perf_counter()
            if at == 0:
                self._begin_epoch()
            size = batch if at + batch <= n else n - at
            calls, loss_of_batch, _ = programs[size]
            if not steady:
                rate = optimizer.learning_rate * factor(self.updates)
                self._set_numbers(rate)
            if device:
                position.copy_to_device(np.array([at], np.int64))
                counter.copy_to_device(np.array([self.seed, self.updates], np.uint64))
            else:
                position[0], counter[1] = at, self.updates
            calls.run()
            loss = float(loss_of_batch.copy_to_host()[0] if device else loss_of_batch[0])
            at += size
            ends = at >= n
            if ends:
                self.epoch, at = self.epoch + 1, 0
            self.updates, self.examples, self.position = self.updates + 1, self.examples + size, at
            self.seconds += perf_counter() - start
            if self._first_loss is None:
                self._first_loss = loss
            if not loss < BLOW_UP * max(1.0, self._first_loss):
                raise Diverged("blow-up" if math.isfinite(loss) else "nonfinite", self.updates, loss, rate)
            step = Step(self.epoch + (not ends), self.updates, self.examples, self.seconds, loss, rate, ends)
            yield step
            if spent(step):
                if device:
                    self.fetch()
                return

    def _set_numbers(self, rate: float) -> None:
        if self._fused:
            numbers: tuple[float, ...] = (-rate, 1 - rate * self.optimizer.weight_decay)
            target = self._blend
        else:
            numbers, target = self.optimizer.numbers(rate, self.updates + 1), self._numbers
        if self._on_device:
            target.copy_to_device(np.array(numbers, self.model.dtype))
        else:
            target[:] = numbers

    def send(self) -> None:
        """Take the model's parameters and buffers to the GPU, after something else than this training has changed them."""
        if self._on_device:
            for ours, theirs in zip((self._parameters, self._buffers), self.model.arenas, strict=True):
                if theirs.size:
                    ours.flat.copy_to_device(theirs.flat)

    def fetch(self) -> None:
        """Bring the parameters and buffers home from the GPU, so that the model can be evaluated and saved."""
        if self._on_device:
            for ours, theirs in zip((self._parameters, self._buffers), self.model.arenas, strict=True):
                if theirs.size:
                    theirs.flat[:] = ours.flat.copy_to_host()

    @property
    def counters(self) -> dict[str, Any]:
        """Where the run stands; with the parameters and the optimizer's state, all that a resumed run needs."""
        names = ("epoch", "position", "updates", "examples", "seconds")
        return {**{name: getattr(self, name) for name in names}, "first_loss": self._first_loss}

    def resume(self, counters: dict[str, Any]) -> None:
        """Go on where `counters` were taken. Parameters and optimizer state are restored by their owner."""
        for name in ("epoch", "position", "updates", "examples", "seconds"):
            setattr(self, name, counters[name])
        self._first_loss = counters["first_loss"]


def shuffles(n: int, seed: int, first: int = 0) -> Iterator[np.ndarray]:
    """The order of n samples in epoch `first` and all after it: each shuffles the one before, in the same array."""
    random = np.random.default_rng([seed, 1])
    order = np.arange(n)
    for _ in range(first):
        random.shuffle(order)
    while True:
        random.shuffle(order)
        yield order


def set_threads(threads: int | None) -> int:
    """Use this many threads (all cores when None) and say how many there are; raises NbdlError beyond the machine's."""
    most = int(getattr(numba.config, "NUMBA_NUM_THREADS"))  # noqa: B009  not in its type stubs
    if threads is not None:
        if not 1 <= threads <= most:
            raise NbdlError(f"{threads} threads; expected 1 to {most} (the cores, or NUMBA_NUM_THREADS).")
        numba.set_num_threads(threads)
    return numba.get_num_threads()
