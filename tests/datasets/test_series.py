"""Series from tables: dates in any order, gaps, what is refused and what is mended."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from nbdl.errors import NbdlError
from nbdl_datasets import series


def table(tmp_path, lines, head="date,sales"):
    path = tmp_path / "a.csv"
    path.write_text("\n".join([head, *lines]))
    return path


def months(n=36, first=1):
    return [f"{2020 + k // 12}-{k % 12 + 1:02}-{first:02},{k}" for k in range(n)]


def test_a_column_in_the_order_of_its_dates(tmp_path):
    found = series.read(table(tmp_path, months()))
    assert (found.name, found.every, found.season, found.notes) == ("sales", "a month", 12, ())
    np.testing.assert_array_equal(found.values, np.arange(36))
    assert found.dates[-1] == "2022-12-01"


DISTANCES = {
    "month ends": ([date(2024, m + 1, 1) - timedelta(1) for m in range(1, 12)], "a month", 12),
    "quarters": ([f"{2000 + k // 4}-{k % 4 * 3 + 1:02}" for k in range(12)], "3 months", 4),
    "years": ([f"{year}-01-01" for year in range(1990, 2010)], "a year", 1),
    "days": ([date(2024, 2, 20) + timedelta(k) for k in range(30)], "a day", 7),
    "weeks": ([date(2024, 2, 20) + timedelta(7 * k) for k in range(30)], "7 days", 52),
    "working days": (
        [d for k in range(40) if (d := date(2024, 1, 1) + timedelta(k)).weekday() < 5],
        "a working day",
        5,
    ),
    "hours": ([datetime(2024, 1, 1) + timedelta(hours=k) for k in range(40)], "an hour", 24),
    "half hours": ([f"2024-01-01T{k // 2:02}:{30 * (k % 2):02}Z" for k in range(40)], "30 minutes", 48),
    "slashes": ([f"2024/1/{k}" for k in range(1, 20)], "a day", 7),
}


@pytest.mark.parametrize("case", DISTANCES)
def test_how_far_apart_its_dates_are(tmp_path, case):
    dates, every, season = DISTANCES[case]
    found = series.read(table(tmp_path, [f"{d},{k}" for k, d in enumerate(dates)]))
    assert (found.every, found.season, len(found.values)) == (every, season, len(dates))


def test_unordered_lines_are_put_in_order_and_it_is_said(tmp_path):
    found = series.read(table(tmp_path, months()[::-1]))
    np.testing.assert_array_equal(found.values, np.arange(36))
    assert "order of their dates" in found.notes[0]


def test_without_dates_and_with_other_columns(tmp_path):
    lines = [f"{k},{2 * k},x" for k in range(30)]
    path = table(tmp_path, lines, "a,b,c")
    np.testing.assert_array_equal(series.read(path, "b").values, 2 * np.arange(30))
    assert series.read(path, "b").dates == ()
    with pytest.raises(NbdlError, match="'x'; expected a number"):
        series.read(path)
    one = table(tmp_path, [str(k) for k in range(20)], "a")
    assert len(series.read(one).values) == 20
    years = table(tmp_path, [f"{1990 + k},{k}" for k in range(20)], "year,a")
    assert series.read(years).dates == ()
    assert series.read(years, date="year").every == "a year"


GAPS = {
    "a month left out": (lambda lines: lines[:5] + lines[6:], "1 gap, the first at the time after 2020-05-01"),
    "an empty cell": (lambda lines: [*lines[:5], "2020-06-01,", *lines[6:]], "1 gap, the first at 2020-06-01"),
    "nan": (lambda lines: [*lines[:5], "2020-06-01,NaN", *lines[6:]], "the first at 2020-06-01"),
    "two": (lambda lines: [*lines[:5], *lines[7:]], "2 gaps"),
}


@pytest.mark.parametrize("case", GAPS)
def test_gaps_are_refused_filled_or_passed_over(tmp_path, case):
    change, words = GAPS[case]
    path = table(tmp_path, change(months()))
    with pytest.raises(NbdlError, match=words) as error:
        series.read(path)
    assert "--gaps interpolate" in str(error.value)
    filled = series.read(path, gaps="interpolate")
    np.testing.assert_allclose(filled.values, np.arange(36))
    assert "straight lines" in filled.notes[-1]
    assert len(filled.dates) == 36
    passed = series.read(path, gaps="ignore")
    missing = 2 if case == "two" else 1
    np.testing.assert_array_equal(passed.values, np.delete(np.arange(36), [5, 6][:missing]))


def test_empty_ends_are_left_out(tmp_path):
    lines = ["2019-12-01,", *months(), "2023-01-01,"]
    found = series.read(table(tmp_path, lines))
    assert (len(found.values), found.dates[0]) == (36, "2020-01-01")
    assert "ends" in found.notes[0]


BAD = {
    "twice": ([*months(), "2021-01-01,7"], "2021-01-01 is there twice (samples 13 and 37)"),
    "distances": ([*months(), "2023-01-17,7"], "do not fit"),
    "day first": (["31/12/2024,7", *months()], "the year first"),
    "no such day": (["2024-02-31,7", *months()], "'2024-02-31' is no date"),
    "infinity": ([*months(), "2023-01-01,inf"], "finite"),
    "a word": ([*months(), "2023-01-01,many"], "'many'"),
    "no value": ([f"{2000 + k}-01-01," for k in range(9)], "no value at all"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_series_are_refused(tmp_path, case):
    lines, words = BAD[case]
    with pytest.raises(NbdlError) as error:
        series.read(table(tmp_path, lines), date="date")
    assert words in str(error.value)


def test_wrong_names(tmp_path):
    path = table(tmp_path, months())
    for names in ({"column": "price"}, {"date": "day"}):
        with pytest.raises(NbdlError, match="its columns are date, sales"):
            series.read(path, **names)
    with pytest.raises(NbdlError, match="both"):
        series.read(path, "date", "date")
    with pytest.raises(NbdlError, match="expected one of"):
        series.read(path, gaps="guess")
    with pytest.raises(NbdlError, match="no data file"):
        series.read(tmp_path / "b.csv")


def test_irregular_dates_can_be_ignored(tmp_path):
    found = series.read(table(tmp_path, [*months(), "2023-01-17,36"]), gaps="ignore")
    np.testing.assert_array_equal(found.values, np.arange(37))


def test_windows_look_back_and_never_ahead():
    x = np.arange(20.0)[:, None]
    train, test = series.windows(x, 4, 3, 0, 12), series.windows(x, 4, 3, 12, 20)
    np.testing.assert_array_equal(train.inputs[0, :, 0], [0, 1, 2, 3])
    np.testing.assert_array_equal(train.targets[0], [4, 5, 6])
    np.testing.assert_array_equal(train.targets[-1], [9, 10, 11])
    np.testing.assert_array_equal(test.inputs[0, :, 0], [8, 9, 10, 11])
    np.testing.assert_array_equal(test.targets[-1], [17, 18, 19])
    assert len(series.windows(x, 4, 3, 18, 20)) == 0
