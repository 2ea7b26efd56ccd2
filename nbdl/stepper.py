"""A network used one step at a time, with its recurrent states kept in between: to write text, to act, to forecast."""

from typing import Any

import numpy as np

from nbdl import linking
from nbdl.errors import NbdlError
from nbdl.losses import loss
from nbdl.model import Sequential
from nbdl.program import Announce, Data, Program, states_of


class Stepper:
    """A network of sequences (steps, ...) bound to single steps of `batch` sequences side by side.

    It shares the parameters of `model`, so it answers with what training has made of them. Raises NbdlError for a network
    whose weights depend on the number of steps.
    """

    def __init__(self, model: Sequential, batch: int = 1, *, backend: str = "auto", announce: Announce = None):
        single = Sequential(model.layers, (1, *model.input_shape[1:]), dtype=model.dtype)
        if single.parameters.shapes != model.parameters.shapes:
            raise NbdlError("a network whose weights depend on the number of steps cannot run one step at a time.")
        self.states = states_of(single, batch)
        self._inputs = np.zeros((batch, *single.input_shape), model.dtype)
        outputs = int(np.prod(single.output_shape))
        self._program = Program(
            single,
            batch,
            loss("mean_squared_error"),
            Data(self._inputs, np.zeros((batch, outputs), model.dtype)),
            order=np.arange(batch, dtype=np.int64),
            position=np.zeros(1, np.int64),
            backend="auto" if backend == "cuda" else backend,
            parameters=model.parameters,
            buffers=model.buffers,
            states=self.states,
            carry=True,
            announce=announce,
        )
        self._step = linking.Step([*self._program.gather, *self._program.forward])

    def step(self, inputs: Any) -> np.ndarray:
        """The outputs for the next step of every sequence. Shape: inputs (batch, ...) of one step -> (batch, outputs)."""
        self._inputs[...] = np.reshape(inputs, self._inputs.shape)
        self._step.run()
        return self._program.outputs.reshape(len(self._inputs), -1).copy()

    def reset(self, rows: Any = slice(None)) -> None:
        """Forget what came before, in these sequences or in all."""
        for name in self.states:
            self.states[name][rows] = 0
