"""Tests of the page's files: small, of our own hand, and served as they are."""

import re
from typing import Final

import pytest

from bulk_cancel.worker.gateway.routes.page import FILES
from tests.support.checkout import ROOT

PAGE: Final = ROOT / "worker/gateway/page"
SCRIPTS: Final = [name for name in FILES if name.endswith(".js")]


def lines(*names: str) -> int:
    """How many lines these files have."""
    return sum(len((PAGE / name).read_text().splitlines()) for name in names)


def test_every_file_is_served() -> None:
    """And none that is not there."""
    assert sorted(FILES) == sorted(path.name for path in PAGE.iterdir())


def test_it_is_small() -> None:
    """Whoever reads it needs no tool for that."""
    assert lines("style.css") <= 300
    assert lines(*SCRIPTS) <= 800


@pytest.mark.parametrize("name", FILES)
def test_it_needs_nothing_from_elsewhere(name: str) -> None:
    """No other site, no script or style within the page, no address that breaks below a path."""
    text = (PAGE / name).read_text().replace("http://www.w3.org/2000/svg", "")
    assert "://" not in text
    assert not re.search(r"\s(?:style|on\w+)=|<style|<script>|innerHTML|eval\(|(?:src|href)=\"/", text)
