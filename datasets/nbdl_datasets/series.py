"""Series: what was measured at equal distances in time, read from a user's own table, and cut into windows.

    inputs[i]   x[t - steps] ... x[t - 1]        what is known at time t, the origin
    targets[i]  x[t] ... x[t + horizon - 1]      what is to be foretold

The parts are cut in time: what is tested on lies behind all that was learnt from.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nbdl.errors import NbdlError
from nbdl_datasets.base import Split
from nbdl_datasets.files import read_table

GAPS = ("refuse", "interpolate", "ignore")
MISSING = ("", "nan", "na", "n/a", "null", "none")
DATE = re.compile(r"(\d{4}(?:[-/]\d\d?(?:[-/]\d\d?(?:[T ]\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)?)?)?)Z?")
# how far apart, in words: values in a season of that kind
SEASONS = {"a month": 12, "3 months": 4, "a day": 7, "a working day": 5, "7 days": 52, "an hour": 24, "30 minutes": 48}


@dataclass(frozen=True)
class Series:
    """Values at equal distances; `every` is that distance in words ("a month", "" without dates), `notes` what was mended."""

    name: str
    values: np.ndarray  # (n) float64
    dates: tuple[str, ...]  # as many as values, or none
    every: str = ""
    notes: tuple[str, ...] = ()

    @property
    def season(self) -> int:
        """How many values the usual season of such data has; 1 where there is none."""
        return SEASONS.get(self.every, 1)


def read(path: Path, column: str | None = None, date: str | None = None, gaps: str = "refuse") -> Series:
    """One column of a .csv file, in the order of its dates.

    Without `column` it is the last, without `date` the first that holds nothing but dates. What is missing is refused,
    filled by straight lines (`interpolate`), or passed over as if its neighbours were one step apart (`ignore`). Raises
    NbdlError that names the line or the date.
    """
    if gaps not in GAPS:
        raise NbdlError(f"gaps {gaps!r}: expected one of {', '.join(GAPS)}.")
    if not path.is_file():
        raise NbdlError(f"there is no data file {path}.")
    names, body = read_table(path, least=1)
    for wanted in (column, date):
        if wanted is not None and wanted not in names:
            raise NbdlError(f"{path} has no column {wanted!r}; its columns are {', '.join(names)}.")
    if column is not None and column == date:
        raise NbdlError(f"column {column!r} cannot be both the values and their dates.")
    dated = names.index(date) if date is not None else _dated(names, body, column)
    target = names.index(column) if column is not None else max(i for i in range(len(names)) if i != dated)
    values = np.array(
        [_value(f"{path}, sample {n}, column {names[target]!r}", row[target]) for n, row in enumerate(body, 1)]
    )
    if np.isnan(values).all():
        raise NbdlError(f"{path}: column {names[target]!r} holds no value at all.")
    notes: list[str] = []
    if dated is None:
        index, dates, every = np.arange(len(values)), np.array([]), ""
    else:
        times = np.array([_time(f"{path}, sample {n}", row[dated]) for n, row in enumerate(body, 1)])
        order = np.argsort(times, kind="stable")
        if (np.diff(order) < 0).any():
            notes.append("its lines were not in the order of their dates; they are now")
        times, values = times[order], values[order]
        same = np.flatnonzero(np.diff(times) == np.timedelta64(0))
        if len(same):
            lines = " and ".join(str(order[k] + 1) for k in (same[0], same[0] + 1))
            raise NbdlError(
                f"{path}: {_written(times[same[0]])} is there twice (samples {lines}); a series has one value for each date."
            )
        dates = np.array([body[k][dated] for k in order])
        if gaps == "ignore":
            index, every = np.arange(len(values)), ""
        else:
            index, every = _grid(path, times)
    return _mended(path, names[target], values, index, dates, every, gaps, notes)


def _dated(names: list[str], body: list[list[str]], column: str | None) -> int | None:
    """The first column that holds nothing but dates; plain years are numbers."""
    for i, name in enumerate(names):
        cells = [row[i] for row in body]
        if name != column and all(DATE.fullmatch(cell) and not cell.isdigit() for cell in cells):
            return i
    return None


def _value(where: str, cell: str) -> float:
    if cell.lower() in MISSING:
        return np.nan
    try:
        value = float(cell)
    except ValueError:
        raise NbdlError(f"{where} holds {cell!r}; expected a number.") from None
    if not np.isfinite(value):
        raise NbdlError(f"{where} holds {cell}; expected a finite number.")
    return value


def _time(where: str, cell: str) -> np.datetime64:
    read_ = DATE.fullmatch(cell)
    try:
        if read_ is None:
            raise ValueError
        day, blank, hour = read_[1].replace("T", " ").partition(" ")
        year, *rest = re.split("[-/]", day)
        return np.datetime64("-".join([year, *(part.zfill(2) for part in rest)]) + ("T" + hour) * bool(blank), "s")
    except ValueError:
        raise NbdlError(
            f"{where}: {cell!r} is no date; expected the year first, as in 2024-03-31, 2024-03 or 2024-03-31 18:00."
        ) from None


def _written(time: np.datetime64) -> str:
    """As short as it can be said: the hour is left out where it is midnight."""
    text = str(time.astype("datetime64[s]"))
    return text.removesuffix("T00:00:00").replace("T", " ").removesuffix(":00")


def _grid(path: Path, times: np.ndarray) -> tuple[np.ndarray, str]:
    """The place of each date, in steps from the first, and how far apart two are, in words."""
    if len(times) < 2:
        return np.arange(len(times)), ""
    days, months = times.astype("datetime64[D]"), times.astype("datetime64[M]")
    whole = (times == days).all()
    in_month = (days - months.astype("datetime64[D]")).astype(int)
    last = ((days + 1).astype("datetime64[M]") > months).all()
    weekdays = np.is_busday(days).all()
    if whole and (last or (in_month == in_month[0]).all()):
        at, unit = months.astype(int), "month"
    elif whole and weekdays and (np.diff(days).astype(int) == 1).any():
        at, unit = np.busday_count(days[0], days), "working day"
    elif whole:
        at, unit = days.astype(int), "day"
    else:
        at, unit = times.astype(np.int64), "second"
    steps, counts = np.unique(np.diff(at), return_counts=True)
    step = int(steps[counts.argmax()])
    away = (at - at[0]) % step
    if away.any():
        k = int(np.flatnonzero(away)[0])
        raise NbdlError(
            f"{path}: its dates lie {_distance(step, unit)} apart as a rule, but {_written(times[k - 1])} and "
            f"{_written(times[k])} do not fit that. Give dates at equal distances, or say --gaps ignore, which takes the "
            "lines as they follow each other."
        )
    return (at - at[0]) // step, _distance(step, unit)


def _distance(step: int, unit: str) -> str:
    if unit == "second":
        for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
            if step % size == 0:
                step, unit = step // size, name
                break
    if unit == "month" and step % 12 == 0:
        step, unit = step // 12, "year"
    return f"{step} {unit}s" if step > 1 else f"an {unit}" if unit == "hour" else f"a {unit}"


def _mended(path, name, values, index, dates, every, gaps, notes) -> Series:
    """The series with what is missing filled, passed over or refused."""
    here = ~np.isnan(values)
    if gaps == "ignore":
        if not here.all():
            notes.append(f"{(~here).sum()} lines without a value were left out")
        return Series(name, values[here], tuple(dates[here]) if len(dates) else (), every, tuple(notes))
    first, last = np.flatnonzero(here)[[0, -1]]
    if first or last < len(values) - 1:
        notes.append(f"{first + len(values) - 1 - last} lines without a value at its ends were left out")
    values, index, here = values[first : last + 1], index[first : last + 1] - index[first], here[first : last + 1]
    dates = dates[first : last + 1]
    n = int(index[-1]) + 1
    missing = np.setdiff1d(np.arange(n), index[here])
    if len(missing) and gaps == "refuse":
        before = np.searchsorted(index, missing[0], side="right") - 1
        where = f"sample {first + missing[0] + 1}" if not len(dates) else (
            dates[before] if index[before] == missing[0] else f"the time after {dates[before]}"
        )  # fmt: skip
        raise NbdlError(
            f"{path}: column {name!r} has {len(missing)} gap{'s' * (len(missing) > 1)}, the first at {where}. Fill "
            f"{'them' if len(missing) > 1 else 'it'}, or say --gaps interpolate (straight lines between the neighbours) or "
            "--gaps ignore (the lines as they follow each other)."
        )
    if len(missing):
        notes.append(f"{len(missing)} gap{'s' * (len(missing) > 1)} filled by straight lines")
    whole = np.interp(np.arange(n), index[here], values[here])
    filled = np.full(n, "", dtype=object)
    if len(dates):
        filled[index] = dates
    return Series(name, whole, tuple(filled) if len(dates) else (), every, tuple(notes))


def windows(values: np.ndarray, steps: int, horizon: int, first: int, last: int) -> Split:
    """Every origin t from `first` on whose targets end before `last`; inputs may reach back before `first`.

    Shape: values (n, features), inputs (origins, steps, features), targets (origins, horizon) of the first feature
    """
    origins = np.arange(max(first, steps), last - horizon + 1)
    inputs = values[origins[:, None] + np.arange(-steps, 0)]
    targets = values[origins[:, None] + np.arange(horizon), 0]
    return Split(inputs.astype(np.float32), targets.astype(np.float32))
