"""PyTorch, eager: the plain loop of torch.optim.SGD is faster on so few parameters than `foreach` and `fused`.

Bytes are made float32 beforehand, which takes four times the memory and saves a conversion a batch.
"""

from typing import Any

import torch

from nbdl_benchmarks.harness import Contender
from nbdl_benchmarks.work import RATE, Batches, Work, make


def build(net: str, batch: int, data: str) -> Contender:
    """torch.optim.SGD, as most users write it."""
    work = make(net, batch, data)
    model, cost, take = _parts(work)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, foreach=False)

    def run(count: int) -> None:
        for _ in range(count):
            x, t = take()
            optimizer.zero_grad(set_to_none=True)
            cost(model(x), t).backward()
            optimizer.step()

    return Contender("torch", torch.__version__, run, lambda: _weights(model))


def build_manual(net: str, batch: int, data: str) -> Contender:
    """The update written by hand, as in the JAX step: no optimizer object, no .grad fields."""
    work = make(net, batch, data)
    model, cost, take = _parts(work)
    parameters = list(model.parameters())

    def run(count: int) -> None:
        for _ in range(count):
            x, t = take()
            gradients = torch.autograd.grad(cost(model(x), t), parameters)
            with torch.no_grad():
                for w, g in zip(parameters, gradients, strict=True):
                    w.add_(g, alpha=-RATE)

    return Contender("torch by hand", torch.__version__, run, lambda: _weights(model))


def _parts(work: Work):
    mlp = work.net == "mlp"
    w1, b1, w2, b2 = work.weights
    middle = torch.nn.ReLU() if mlp else torch.nn.Tanh()
    model: Any = torch.nn.Sequential(torch.nn.Linear(*w1.shape), middle, torch.nn.Linear(*w2.shape))
    with torch.no_grad():
        for layer, w, b in ((model[0], w1, b1), (model[2], w2, b2)):
            layer.weight.copy_(torch.from_numpy(w.T.copy()))
            layer.bias.copy_(torch.from_numpy(b))
    inputs, targets = torch.from_numpy(work.inputs).to(torch.float32).mul_(work.scale), torch.from_numpy(work.targets)
    cost = torch.nn.functional.cross_entropy if mlp else torch.nn.functional.binary_cross_entropy_with_logits
    batches = Batches(work, torch.from_numpy)

    def take():
        order, start, stop = next(batches)
        rows = order[start:stop]
        return inputs.index_select(0, rows), targets.index_select(0, rows)

    return model, cost, take


def _weights(model: Any):
    found = [model[0].weight.T, model[0].bias, model[2].weight.T, model[2].bias]
    return [tensor.detach().numpy() for tensor in found]
