"""The cost as a landscape over a plane of weights, and the paths that descent takes over it.

All weights but two directions are kept; along those two the cost of all samples is computed on a grid. Paths are drawn
where they meet the plane: at the nearest point of it (least squares).
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nbdl.errors import NbdlError
from nbdl.evaluation import Evaluation
from nbdl.losses import Loss
from nbdl.model import Sequential
from nbdl.optimizers import Optimizer
from nbdl.program import Announce, Data
from nbdl.training import Budget, Diverged, Training

MOST_POINTS = 3000  # of one path are kept, and fewer where the network is large
PATH_NUMBERS = 2**24  # floats that the points of one path may take
SAMPLED = 200  # points of each path that the principal directions are computed from


@dataclass(frozen=True)
class Path:
    """The way that one training took through the weights.

    points    (k, parameters) float32, the first weights first and the last ones last; long paths are thinned evenly
    updates   (k) how many updates led to each point
    length    the sum of the lengths of all steps, also of those not kept
    cost      mean over all samples at the end; not finite where it diverged
    """

    method: str
    batch: int
    points: np.ndarray
    updates: list[int]
    examples: int
    seconds: float
    length: float
    cost: float
    diverged: str | None = None

    @property
    def distance(self) -> float:
        """From the start to the end, straight."""
        return float(np.linalg.norm(self.points[-1].astype(np.float64) - self.points[0]))


def descend(
    model: Sequential,
    data: Data,
    loss: Loss,
    optimizer: Optimizer,
    method: str,
    *,
    batch: int | str,
    budget: Budget,
    clip: float | None = None,
    seed: int = 0,
    backend: str = "auto",
    announce: Announce = None,
) -> Path:
    """Train from the model's weights as they are, and keep the way; the weights are put back, bit for bit."""
    if model.buffers.size:
        raise NbdlError(
            "the cost of a network with BatchNorm depends on its running statistics too, which are no place in a "
            "landscape of weights: leave batchnorm out of the layers."
        )
    weights = model.parameters.flat
    before = weights.copy()
    try:
        training = Training(
            model,
            data,
            loss,
            optimizer,
            batch=batch,
            budget=budget,
            clip=clip,
            seed=seed,
            backend=backend,
            announce=announce,
        )
        cost = Evaluation(model, data, loss, backend=backend, announce=announce)
        most = max(2, min(MOST_POINTS, PATH_NUMBERS // weights.size))
        points, updates, last, length, every, diverged = [before.copy()], [0], before.copy(), 0.0, 1, None
        try:
            for step in training.steps():
                training.fetch()
                moved = float(np.linalg.norm(weights.astype(np.float64) - last))
                if not math.isfinite(moved):
                    continue  # the next loss will say so
                length += moved
                last[:] = weights
                if step.update % every == 0:
                    points.append(last.copy())
                    updates.append(step.update)
                    if len(points) > most:  # every second one will do
                        every, points, updates = 2 * every, points[::2], updates[::2]
        except Diverged as error:
            diverged = error.kind
        if not np.array_equal(points[-1], last):
            points.append(last.copy())
            updates.append(training.updates)
        end = math.inf if diverged else cost.run().loss
        return Path(
            method,
            training.batch,
            np.array(points),
            updates,
            training.examples,
            training.seconds,
            length,
            end,
            diverged,
        )
    finally:
        weights[:] = before


@dataclass(frozen=True)
class Plane:
    """The weights origin + x across + y up, for numbers x and y.

    `kind` is weights, random or principal; `names` say what x and y are. Shape: origin, across, up (parameters), float64.
    """

    kind: str
    origin: np.ndarray
    across: np.ndarray
    up: np.ndarray
    names: tuple[str, str]

    def weights(self, x: float, y: float) -> np.ndarray:
        return self.origin + x * self.across + y * self.up

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        """x and y of the points of the plane that are nearest to these. Shape: (k, parameters) -> (k, 2)."""
        directions = np.stack([self.across, self.up])
        moved = (points - self.origin) @ directions.T
        return np.linalg.solve(directions @ directions.T, moved.T).T

    def share(self, paths: Sequence[Path]) -> float:
        """Which part of the paths' movement lies in the plane: 1 when they never leave it, in squared distances."""
        points = _sampled(paths)
        moved = points - points.mean(axis=0)
        flat = self.coordinates(points) @ np.stack([self.across, self.up])
        inside, total = float(((flat - flat.mean(axis=0)) ** 2).sum()), float((moved**2).sum())
        return inside / total if total else 1.0


def weight_place(model: Sequential, name: str) -> int:
    """Where the weight `dense_1.w[0,3]` lies in the flat parameters; the index may be left out of a single one."""
    parameters = model.parameters
    found = re.fullmatch(r"\s*([\w.]+?)\s*(?:\[([\d,\s]*)\])?\s*", name)
    if found is None or found[1] not in parameters.shapes:
        first = next(iter(parameters.shapes), "dense_1.w")
        raise NbdlError(
            f"weight {name!r} is unknown; this network has {', '.join(parameters.shapes)}, each with an index behind "
            f"it: {first}[{','.join('0' * len(parameters.shapes.get(first, ())))}]."
        )
    shape = parameters.shapes[found[1]]
    index = tuple(int(part) for part in (found[2] or "").split(",") if part.strip())
    if not index and math.prod(shape) == 1:
        index = (0,) * len(shape)
    if len(index) != len(shape) or any(i >= n for i, n in zip(index, shape, strict=True)):
        raise NbdlError(
            f"weight {name!r}: {found[1]} has the shape {' × '.join(map(str, shape))}; expected an index such as "
            f"{found[1]}[{','.join(str(n - 1) for n in shape)}]."
        )
    return parameters.places[found[1]].start + int(np.ravel_multi_index(index, shape))


def only_weights(model: Sequential) -> tuple[str, str]:
    """The names of the two weights of a network that has no others; raises NbdlError for any other network."""
    if model.parameter_count != 2:
        raise NbdlError(
            f"this network has {model.parameter_count} weights, and a plane has room for two: name them with --weights, "
            "or take the plane of the two principal directions of the paths (--plane principal)."
        )
    names = [
        f"{name}[{','.join(map(str, index))}]"
        for name, shape in model.parameters.shapes.items()
        for index in np.ndindex(*shape)
    ]
    return names[0], names[1]


def plane_of_weights(model: Sequential, names: tuple[str, str], others: np.ndarray | None = None) -> Plane:
    """x and y are two weights themselves; all others stand as in `others` (the model's own, where None)."""
    places = [weight_place(model, name) for name in names]
    if places[0] == places[1]:
        raise NbdlError(f"{names[0]!r} and {names[1]!r} are the same weight; name two.")
    origin = (model.parameters.flat if others is None else others).astype(np.float64)
    directions = np.zeros((2, origin.size))
    for direction, place in zip(directions, places, strict=True):
        origin[place], direction[place] = 0.0, 1.0
    return Plane("weights", origin, directions[0], directions[1], names)


def plane_of_random_directions(model: Sequential, centre: np.ndarray, seed: int = 0) -> Plane:
    """Two random directions through `centre`, each filter as long as the weights of that filter; biases stay.

        d_f = d_f |w_f| / |d_f|      for the weights w_f that lead to one unit, or make up one filter

    So that a step of 1 means the same for large and for small weights. Source: Li et al. 2018, "Visualizing the loss
    landscape of neural nets".
    """
    random = np.random.default_rng([seed, 5])
    parameters, directions = model.parameters, np.zeros((2, centre.size))
    for direction in directions:
        for name, shape in parameters.shapes.items():
            if len(shape) > 1:
                weights = centre[parameters.places[name]].astype(np.float64).reshape(shape)
                drawn = random.standard_normal(shape)
                others = filter_axes(shape)
                scale = _norm(weights, others) / np.maximum(_norm(drawn, others), 1e-12)
                direction[parameters.places[name]] = (drawn * scale).ravel()
    if not directions.any(axis=1).all():
        raise NbdlError("random directions need layers whose weights are not all 0.")
    names = ("random direction 1", "random direction 2")
    return Plane("random", centre.astype(np.float64), directions[0], directions[1], names)


def filter_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that one unit or filter spans: all but the last of dense weights, all but the first of filters."""
    return tuple(range(len(shape) - 1)) if len(shape) == 2 else tuple(range(1, len(shape)))


def _norm(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.sqrt((values**2).sum(axis=axes, keepdims=True))


def plane_of_paths(paths: Sequence[Path]) -> Plane:
    """The plane in which the paths move most: the first two principal components of their points, through their mean.

    Every path counts as much as the others, however many updates it took. Across runs from start to end.
    """
    points = _sampled(paths)
    origin = points.mean(axis=0)
    moved = points - origin
    values, vectors = np.linalg.eigh(moved @ moved.T)
    if not values[-2] > 1e-12 * max(values[-1], 1e-30):
        raise NbdlError("the paths do not span a plane: they are straight lines; take --plane random.")
    directions = vectors[:, [-1, -2]].T @ moved
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    way = sum(path.points[-1].astype(np.float64) - path.points[0] for path in paths if not path.diverged)
    directions *= np.where(directions @ np.broadcast_to(way, origin.shape) < 0, -1.0, 1.0)[:, None]
    total = float((moved**2).sum())
    shares = [float(value) / total for value in (values[-1], values[-2])]
    names = [f"principal direction {n} ({100 * share:.0f} %)" for n, share in enumerate(shares, 1)]
    return Plane("principal", origin, directions[0], directions[1], (names[0], names[1]))


def _sampled(paths: Sequence[Path]) -> np.ndarray:
    """As many points of each path, float64; a path that diverged only where it is finite and near."""
    parts = []
    for path in paths:
        points = path.points.astype(np.float64)
        if path.diverged:
            points = points[: max(2, len(points) // 2)]
        chosen = np.linspace(0, len(points) - 1, SAMPLED).round().astype(int)
        parts.append(points[chosen])
    return np.concatenate(parts)


def surface(
    model: Sequential,
    data: Data,
    loss: Loss,
    plane: Plane,
    xs: Sequence[float],
    ys: Sequence[float],
    *,
    backend: str = "auto",
    announce: Announce = None,
) -> Iterator[np.ndarray]:
    """The cost at all x for each y, row by row in the order of `ys`; the model's weights are put back at the end.

    A cost that is not finite stays so. Shape: each (len(xs)) float64.
    """
    weights = model.parameters.flat
    before = weights.copy()
    try:
        evaluation = Evaluation(model, data, loss, backend=backend, announce=announce)
        for y in ys:
            row = np.empty(len(xs))
            for column, x in enumerate(xs):
                weights[:] = plane.weights(x, y)
                row[column] = evaluation.run().loss
            yield row
    finally:
        weights[:] = before
