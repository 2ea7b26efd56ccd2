"""How good predictions are: numbers that people read, where a loss is what the network reads."""

import numpy as np


def accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Share of predictions that equal the labels. Shape: both (n)."""
    return float(np.mean(predictions == labels))


def top_k(scores: np.ndarray, labels: np.ndarray, k: int = 5) -> float:
    """Share of samples whose label is among the k highest scores. Shape: scores (n, classes), labels (n)."""
    k = min(k, scores.shape[1])
    best = np.argpartition(scores, -k, axis=1)[:, -k:]
    return float(np.mean((best == labels[:, None]).any(axis=1)))


def confusion_matrix(predictions: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Counts with the true class down and the predicted class across. Shape: (classes, classes)."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, predictions), 1)
    return matrix


def mean_absolute_error(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Mean of |prediction - target|, in the unit of the targets."""
    return float(np.mean(np.abs(predictions - targets)))


def r2(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Share of the targets' variance that is explained: 1 - sum (p - t)^2 / sum (t - mean t)^2; NaN where t is constant."""
    spread = float(np.sum((targets - targets.mean(axis=0)) ** 2))
    return 1 - float(np.sum((predictions - targets) ** 2)) / spread if spread > 0 else float("nan")


def mean_absolute_scaled_error(
    predictions: np.ndarray, targets: np.ndarray, past: np.ndarray, season: int = 1
) -> float:
    """The mean absolute error, in units of what repeating the last season misses in the past.

        MASE = mean |prediction - target| / mean |x[t] - x[t - season]| over the past

    Below 1 the forecast is better than that; NaN where the past repeats itself exactly. Shape: past (n)
    Source: Hyndman and Koehler, Another look at measures of forecast accuracy, 2006.
    """
    missed = float(np.mean(np.abs(past[season:] - past[:-season])))
    return mean_absolute_error(predictions, targets) / missed if missed > 0 else float("nan")
