"""Each benchmark runs, at toy size: that it works and prints its tables. Its figures mean nothing then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kafka.fixtures import require_java

TOP = Path(__file__).parents[1]


def run(*arguments: str, **environment: str) -> str:
    """What the benchmark printed."""
    command = [sys.executable, "-m", *arguments, "--toy"]
    done = subprocess.run(
        command, cwd=TOP, env=os.environ | environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("benchmark", "row"),
    [
        ("benchmarks.parse", "X12 350"),
        ("benchmarks.end_to_end", "ingest"),
        ("benchmarks.stages", "client: write and commit"),
        ("benchmarks.state", "snp.index-state"),
        ("benchmarks.routine_year", "examined after release"),
        ("benchmarks.recovery", "live do-not-loads"),
        ("benchmarks.console", "no console"),
        ("benchmarks.console_opening", "a sailing"),
    ],
)
def test_a_benchmark_prints_its_table(benchmark: str, row: str) -> None:
    assert row in run(benchmark)


def test_costs_are_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "shape.svg"
    assert "bills known" in run("benchmarks.shape", "--plot", str(picture))
    assert picture.read_text().count("<svg") == 1


def test_the_latency_curve_is_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "latency.svg"
    assert "p99 ms" in run("benchmarks.latency", "--plot", str(picture))
    assert picture.read_text().count("<svg") == 1


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("benchmark", "row"), [("benchmarks.stages", "client: read"), ("benchmarks.latency", "p99 ms")]
)
def test_a_benchmark_runs_on_a_broker(kafka: str, benchmark: str, row: str) -> None:
    assert row in run(benchmark, "--log", "kafka", SNP_TEST_KAFKA=kafka)


@pytest.mark.kafka
def test_the_benchmarks_on_kafka_print_their_tables(kafka: str) -> None:
    measured = ("--only", "backlog", "--only", "workers", "--only", "restore")
    printed = run("benchmarks.kafka", *measured, SNP_TEST_KAFKA=kafka)
    assert "snp-router" in printed
    assert "all processes" in printed
    assert "memory a bill" in printed


@pytest.mark.kafka
def test_a_noisy_party_is_measured() -> None:
    require_java()
    assert "without limits" in run("benchmarks.noisy_party")
