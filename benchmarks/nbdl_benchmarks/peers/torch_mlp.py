"""PyTorch, eager, as its users write it: a fused SGD where there is one, gradients set to None, no copies by hand."""

from typing import Any

import torch

from nbdl_benchmarks.work import RATE, Batches, Contender, Work


def build(work: Work) -> Contender:
    mlp = work.net == "mlp"
    w1, b1, w2, b2 = work.weights
    middle = torch.nn.ReLU() if mlp else torch.nn.Tanh()
    model: Any = torch.nn.Sequential(torch.nn.Linear(*w1.shape), middle, torch.nn.Linear(*w2.shape))
    with torch.no_grad():
        for layer, w, b in ((model[0], w1, b1), (model[2], w2, b2)):
            layer.weight.copy_(torch.from_numpy(w.T.copy()))
            layer.bias.copy_(torch.from_numpy(b))
    inputs, targets = torch.from_numpy(work.inputs), torch.from_numpy(work.targets)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, fused=True)
    cost = torch.nn.functional.cross_entropy if mlp else torch.nn.functional.binary_cross_entropy_with_logits
    batches = Batches(work, torch.from_numpy)

    def run(count: int) -> None:
        for _ in range(count):
            order, start, stop = next(batches)
            rows = order[start:stop]
            x = inputs.index_select(0, rows)
            x = x.to(torch.float32).mul_(work.scale) if mlp else x
            optimizer.zero_grad(set_to_none=True)
            loss = cost(model(x), targets.index_select(0, rows))
            loss.backward()
            optimizer.step()

    def weights():
        found = [model[0].weight.T, model[0].bias, model[2].weight.T, model[2].bias]
        return [tensor.detach().numpy() for tensor in found]

    return Contender("torch", torch.__version__, run, weights)
