"""The alerts that a real process's figures make fire: its scrapes are given to Prometheus' own rules."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from router import background
from tests.deploy.test_deploy import DEPLOY, tool

MINUTES = 45
EVALUATED = (4, 12, 30, 45)
GROWING = {
    "snp_seconds_since_commit", "snp_task_failing_seconds", "snp_task_restore_seconds", "snp_feed_oldest_file_seconds",
    "snp_partition_commit_age_seconds", "snp_webhook_failing_seconds", "snp_requests_not_read_seconds",
}  # fmt: skip
"""They count seconds of what lasts."""

Scrape = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(figures: CollectorRegistry) -> Scrape:
    return samples_in((generate_latest(figures) + generate_latest(background.FIGURES)).decode())


def samples_in(text: str) -> Scrape:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(address: str) -> Scrape | None:
    """Read a process's figures; None if it does not answer."""
    try:
        with urlopen(f"http://{address}/metrics", timeout=5) as answer:
            return samples_in(answer.read().decode())
    except OSError:
        return None


def fired(
    before: Scrape,
    during: Scrape | None,
    folder: Path,
    *,
    standstill: bool = False,
    job: str = "snp-router",
    looks_at_router: bool = True,
) -> set[str]:
    """Alerts that fire if a process of `job` shows `before`, and then what it shows `during` a fault that lasts.

    `during` is None if it does not answer. With `standstill`, seconds of what lasts go on. A router is looked at, too.
    """
    is_up, during = int(during is not None), during or {}
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())
    names = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    series = [{"series": f'up{{job="{job}",instance="one"}}', "values": f"1 {is_up}x{MINUTES}"}]
    if job != "snp-router" and looks_at_router:
        series.append({"series": 'up{job="snp-router",instance="two"}', "values": f"1x{MINUTES}"})
    for name, labels in sorted(before.keys() | during.keys()):
        text = ",".join(f'{label}="{value}"' for label, value in (*labels, ("job", job), ("instance", "one")))
        first, then = before.get((name, labels)), during.get((name, labels))
        steps = "_" if first is None else f"{first}"
        if then is None:
            steps += f" _x{MINUTES}"
        else:
            steps += f" {then}+{60 if standstill and name in GROWING and then > 0 else 0}x{MINUTES}"
        series.append({"series": f"{name}{{{text}}}", "values": steps})
    tests: list[dict[str, Any]] = [
        {"eval_time": f"{minute}m", "alertname": name, "exp_alerts": []} for minute in EVALUATED for name in names
    ]
    test = {"interval": "1m", "input_series": series, "alert_rule_test": tests}
    file = {"rule_files": [str(DEPLOY / "prometheus/alerts.yml")], "evaluation_interval": "1m", "tests": [test]}
    (folder / "fired.yml").write_text(yaml.safe_dump(file))
    words = [tool("promtool"), "test", "rules", str(folder / "fired.yml")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    output = done.stdout + done.stderr
    found = set(re.findall(r"alertname: (\w+), time", output))
    assert found or done.returncode == 0, output
    return found
