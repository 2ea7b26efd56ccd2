"""Worker processes find the contenders of the tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def contenders_importable(monkeypatch):
    path = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
