"""A ledger keeps every finished run, through torn lines, second writers and changed specs."""

import pytest

from nbdl.comparison import Ledger, Spec
from nbdl.comparison.contenders import grid
from nbdl.comparison.spec import contenders_from_table, differences
from nbdl.errors import NbdlError
from nbdl.optimizers import Adam
from nbdl.training import Budget

SPEC = {"budget": {"epochs": 2}, "seeds": [1, 2]}


def read(path, spec=SPEC, **options):
    with Ledger(path, spec, **options) as ledger:
        return ledger.outcomes


def test_what_is_kept_comes_back(tmp_path, outcome):
    path, one = tmp_path / "l.jsonl", outcome([0.1, 0.25], seed=7, test=0.3)
    with Ledger(path, SPEC) as ledger:
        ledger.keep("a", one)
        assert path.read_bytes().count(b"\n") == 2  # there before the next run begins
        ledger.keep("b", outcome([], failure="nonfinite", failure_update=3))
    with Ledger(path, SPEC) as ledger:
        assert ledger.outcomes["a"] == one
        assert ledger.outcomes["b"].failure_update == 3
        ledger.keep("b", outcome([0.5]))
    assert read(path)["b"].failure is None  # the last word counts


def test_what_is_on_disk_is_counted_wherever_an_interrupt_came(tmp_path, outcome, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with Ledger(tmp_path / "l.jsonl", SPEC) as ledger:
        ledger.keep("a", outcome())
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("os.fsync", interrupted)  # behind the writing
            ledger.keep("b", outcome())
        assert ledger.on_disk() == 2
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(ledger, "_write", interrupted)  # before it
            ledger.keep("c", outcome())
        assert ledger.on_disk() == 2
        ledger.keep("b", outcome())  # done again: one run
        assert ledger.on_disk() == 2


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_a_torn_last_line_is_left_out_and_what_follows_is_whole(tmp_path, outcome, cut):
    path = tmp_path / "l.jsonl"
    with Ledger(path, SPEC) as ledger:
        for key in "abc":
            ledger.keep(key, outcome())
    path.write_bytes(path.read_bytes()[:-cut])
    whole = {"a", "b"} | ({"c"} if cut == 1 else set())
    with Ledger(path, SPEC) as ledger:
        assert set(ledger.outcomes) == whole
        ledger.keep("d", outcome())
    assert set(read(path)) == whole | {"d"}


def test_a_torn_first_line_begins_anew(tmp_path):
    path = tmp_path / "l.jsonl"
    read(path)
    path.write_bytes(path.read_bytes()[:20])
    assert read(path) == read(path) == {}


def test_a_changed_spec_is_refused_and_the_difference_named(tmp_path, outcome):
    path = tmp_path / "l.jsonl"
    with Ledger(path, SPEC) as ledger:
        ledger.keep("a", outcome())
    with pytest.raises(NbdlError, match=r"budget.epochs was 2 and is 3; seeds no longer has 1 and now has 4"):
        read(path, {"budget": {"epochs": 3}, "seeds": [4, 2]})
    assert set(read(path)) == {"a"}
    assert read(path, {"budget": {"epochs": 3}}, fresh=True) == {}


def test_other_data_are_named_where_nothing_else_changed(tmp_path):
    path, both = tmp_path / "l.jsonl", {**SPEC, "problem": "aaaa"}
    read(path, both)
    with pytest.raises(NbdlError, match="problem was aaaa and is bbbb"):
        read(path, {**SPEC, "problem": "bbbb"})
    with pytest.raises(NbdlError, match=r"comparison: budget.epochs was 2 and is 3\."):
        read(path, {**SPEC, "budget": {"epochs": 3}, "problem": "bbbb"})


def test_what_is_no_ledger_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("my notes\nof yesterday\n")
    with pytest.raises(NbdlError, match="not a ledger"):
        read(path)
    assert path.read_text() == "my notes\nof yesterday\n"


def test_two_writers_at_once_are_refused(tmp_path):
    path = tmp_path / "l.jsonl"
    with Ledger(path, SPEC), pytest.raises(NbdlError, match="another comparison"):
        read(path)
    assert read(path) == {}


def test_a_spec_survives_its_data():
    spec = Spec(
        (*grid(["stochastic", "batch"], [], [Adam()]), *grid(["mini-batch"], [8], [Adam()], rates=[0.1])),
        Budget(seconds=2.5),
        target=0.9,
        about={"demo": "moons"},
    )
    assert Spec.from_data(spec.as_data()) == spec
    assert [c.tune for c in spec.contenders] == [True, True, False]


def test_contenders_from_a_table():
    found = contenders_from_table(
        {"method": "mini-batch", "batch": [8, 16], "optimizer": "momentum", "momentum": [0.5, 0.9], "learning_rate": 1}
    )
    assert [c.label for c in found] == [
        "mini-batch 8, momentum 1, momentum 0.5",
        "mini-batch 8, momentum 1",
        "mini-batch 16, momentum 1, momentum 0.5",
        "mini-batch 16, momentum 1",
    ]
    assert [c.batch for c in contenders_from_table({"batch": [1, 4, "full"]})] == [1, 4, "full"]
    for bad, word in (
        ({"method": "magic"}, "magic"),
        ({}, "needs a method"),
        ({"method": "batch", "optimizer": "sgd", "momentum": 0.9}, "sgd takes"),
        ({"batch": "some"}, "whole number"),
        ({"batch": 4, "schedule": "sometimes"}, "one-cycle"),
    ):
        with pytest.raises(NbdlError, match=word):
            contenders_from_table(bad)


def test_differences_in_words():
    contender = {
        "method": "batch",
        "batch": "full",
        "optimizer": {"name": "sgd", "learning_rate": None},
        "schedule": "constant",
    }
    lines = differences({"contenders": [contender], "clip": None}, {"contenders": [], "clip": 1.0})
    assert lines == ["clip was not given and is 1.0", "contenders no longer has (batch, sgd)"]
