"""nbdl: deep learning that you can read, run and trust; Numba kernels under a small library of layers and training."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbdl.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, save_model
    from nbdl.early_stopping import EarlyStopping
    from nbdl.errors import NbdlError
    from nbdl.evaluation import Evaluation, predict
    from nbdl.gradcheck import gradient_check
    from nbdl.layers import (
        GRU,
        LSTM,
        Activation,
        BatchNorm,
        Conv1D,
        Conv1DTranspose,
        Conv2D,
        Conv2DTranspose,
        Conv3D,
        Conv3DTranspose,
        Dense,
        Dropout,
        Embedding,
        Flatten,
        LastStep,
        SimpleRNN,
        TimeDistributedDense,
    )
    from nbdl.losses import loss
    from nbdl.model import Sequential
    from nbdl.optimizers import SGD, Adagrad, Adam, AdamW, Momentum, Nesterov, RMSProp, optimizer
    from nbdl.program import Data
    from nbdl.stepper import Stepper
    from nbdl.torch_weights import load_torch_weights
    from nbdl.training import Budget, Diverged, Step, Training

__version__ = "0.1.0"

_HOMES = {
    "checkpoint": ("Checkpoint", "load_checkpoint", "save_checkpoint", "save_model"),
    "early_stopping": ("EarlyStopping",),
    "errors": ("NbdlError",),
    "evaluation": ("Evaluation", "predict"),
    "gradcheck": ("gradient_check",),
    "layers": (
        "Activation",
        "BatchNorm",
        "Conv1D",
        "Conv1DTranspose",
        "Conv2D",
        "Conv2DTranspose",
        "Conv3D",
        "Conv3DTranspose",
        "Dense",
        "Dropout",
        "Flatten",
        "MaxPool1D",
        "MaxPool2D",
        "MaxPool3D",
        "AvgPool1D",
        "AvgPool2D",
        "AvgPool3D",
        "GlobalAveragePool",
        "UpSample",
        "Reshape",
        "SimpleRNN",
        "LSTM",
        "GRU",
        "Embedding",
        "LastStep",
        "TimeDistributedDense",
    ),
    "losses": ("loss",),
    "model": ("Sequential",),
    "optimizers": ("SGD", "Adagrad", "Adam", "AdamW", "Momentum", "Nesterov", "RMSProp", "optimizer"),
    "program": ("Data",),
    "stepper": ("Stepper",),
    "torch_weights": ("load_torch_weights",),
    "training": ("Budget", "Diverged", "Step", "Training"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
__all__ = [*_HOME_OF, "__version__"]


def __getattr__(name: str):
    """Import what is asked for only when it is asked for: `import nbdl` alone must not start Numba."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'nbdl' has no attribute {name!r}")
    return getattr(import_module(f"nbdl.{_HOME_OF[name]}"), name)
