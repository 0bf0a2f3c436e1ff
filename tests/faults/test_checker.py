"""The fault checker tells a broken router: each safeguard is taken out, and a violation is found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.faults.test_faults import undergo

BROKEN = str(Path(__file__).with_name("broken_router.py"))
TRIES = 5

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize(
    ("safeguard", "names"),
    [
        ("fence", "zombie freeze"),
        ("asking", "answer"),
        ("awaiting", "shrink"),
        # A zombie has to commit in the moments between another's reading and its fence, which takes some tries.
        pytest.param("gate", "zombie", marks=pytest.mark.soak),
    ],
)
async def test_without_a_safeguard_the_checker_reports_violations(tmp_path: Path, safeguard: str, names: str) -> None:
    for seed in range(TRIES):
        folder = tmp_path / str(seed)
        folder.mkdir()
        if await undergo(folder, names, seed, 15.0, (sys.executable, BROKEN, safeguard)):
            return
    pytest.fail(f"without {safeguard}, {TRIES} trials of {names} found nothing")
