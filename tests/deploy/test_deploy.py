"""What `deploy/` holds, looked at by the tools made for it: nothing here starts a container."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from jsonschema import Draft201909Validator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from router.settings import load_settings
from tests.deploy.figures import every_registry

DEPLOY = Path(__file__).parents[2] / "deploy"
TOP = DEPLOY.parent
plugins.register_default_plugins()


def tool(name: str) -> str:
    """Where a tool is. Where it isn't, the test is skipped, with the reason, and under CI=true it fails."""
    beside_python = Path(sys.executable).parent / name
    found = str(beside_python) if beside_python.exists() else shutil.which(name)
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"there is no {name} here")
    return found


def accepts(*words: str, cwd: Path = DEPLOY) -> None:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


# Prometheus and Grafana


def test_prometheus_takes_its_settings_and_the_alert_rules() -> None:
    accepts(tool("promtool"), "check", "config", "prometheus.yml", cwd=DEPLOY / "prometheus")


def test_alerts_fire_when_they_should_and_only_then() -> None:
    accepts(tool("promtool"), "test", "rules", "alerts.test.yml", cwd=DEPLOY / "prometheus")


def test_alerts_and_the_dashboard_name_only_figures_there_are() -> None:
    there = {
        name + suffix
        for registry in every_registry(is_known=True).values()
        for family in registry.collect()
        for name in [family.name]
        for suffix in ("", "_total", "_bucket", "_sum", "_count")
    }
    text = (DEPLOY / "prometheus/alerts.yml").read_text()
    text += "".join(path.read_text() for path in (DEPLOY / "grafana/dashboards").glob("*.json"))
    named = set(re.findall(r"\bsnp_[a-z_]+", text))
    assert named
    assert named - there == set()


def test_every_alert_that_wakes_somebody_is_tried() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())
    tried = set(re.findall(r"alertname: (\w+)", (DEPLOY / "prometheus/alerts.test.yml").read_text()))
    pages = {
        rule["alert"] for group in rules["groups"] for rule in group["rules"] if rule["labels"]["severity"] == "page"
    }
    assert pages
    assert pages <= tried


def test_every_alert_has_its_place_in_the_runbook() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    headings = set(re.findall(r"^### (Snp\w+)", (TOP / "docs/runbook.md").read_text(), re.MULTILINE))
    assert alerts == headings


def test_the_dashboard_has_only_what_grafana_knows() -> None:
    """Grafana's own library drops what it doesn't know, so nothing may be missing from what it writes again."""
    known = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard())))
    assert list(lost(dashboard(), known)) == []
    slip = dashboard() | {"refreshh": "15s"}
    assert list(lost(slip, json.loads(JSONEncoder().encode(Dashboard.from_json(slip))))) == [".refreshh"]


def test_the_dashboard_s_panels_stand_beside_each_other_and_ask_the_data_source_there_is() -> None:
    panels = dashboard()["panels"]
    places = [tuple(panel["gridPos"].values()) for panel in panels]
    assert len(set(places)) == len(places)
    assert all(x + w <= 24 for x, _, w, _ in places)
    assert all(panel["targets"] and panel["title"] for panel in panels)
    provisioned = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())
    asked = {target["datasource"]["uid"] for panel in panels for target in panel["targets"]}
    assert asked == {source["uid"] for source in provisioned["datasources"]}


def test_the_dashboard_asks_in_prometheus_own_language(tmp_path: Path) -> None:
    asked = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    rules = [{"record": "asked", "expr": text.replace("$__rate_interval", "1m")} for text in asked]
    (tmp_path / "asked.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    accepts(tool("promtool"), "check", "rules", "--lint=none", "asked.yml", cwd=tmp_path)


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DEPLOY / "grafana/dashboards/snp-router.json").read_text())
    return loaded


def lost(ours: Any, known: Any, path: str = "") -> Iterator[str]:
    """The paths of all that one JSON value has and the other has not."""
    if isinstance(ours, dict) and isinstance(known, dict):
        for key, value in ours.items():
            yield from lost(value, known[key], f"{path}.{key}") if key in known else (f"{path}.{key}",)
    elif isinstance(ours, list) and isinstance(known, list) and len(ours) == len(known):
        for number, pair in enumerate(zip(ours, known, strict=True)):
            yield from lost(*pair, f"{path}[{number}]")
    elif ours != known:
        yield path


# Containers


def test_the_compose_file_follows_its_specification() -> None:
    specification = json.loads(Path(__file__).with_name("compose-spec.json").read_text())
    assert [error.message for error in Draft201909Validator(specification).iter_errors(compose())] == []


def test_its_brokers_have_the_settings_that_are_recommended() -> None:
    lines = re.findall(r"^([a-z.]+)=(.+)$", (DEPLOY / "kafka/broker.properties").read_text(), re.MULTILINE)
    assert len(lines) > 5
    for name in ("broker-1", "broker-2", "broker-3"):
        given = compose()["services"][name]["environment"]
        assert {key: str(given.get("KAFKA_" + key.upper().replace(".", "_"))) for key, _ in lines} == dict(lines)


def test_no_part_of_ours_runs_as_root_or_writes_where_it_should_not() -> None:
    ours = {name: part for name, part in compose()["services"].items() if part["image"] == "snp-router"}
    assert set(ours) == {"provision", "router", "feed", "listener", "console", "webhooks", "registry"}
    assert len({part["user"] for part in ours.values()}) == len(ours), "each is a user of its own"
    assert "0" not in {part["user"] for part in ours.values()}
    assert "\nUSER 10001\n" in (DEPLOY / "Dockerfile").read_text()


def test_every_container_has_no_more_of_the_host_than_it_needs() -> None:
    for name, part in compose()["services"].items():
        assert part["read_only"], name
        assert part["cap_drop"] == ["ALL"], name
        assert part["security_opt"] == ["no-new-privileges:true"], name


def test_published_ports_are_none_that_an_outgoing_connection_may_have() -> None:
    """Linux hands out 32768 and above: a broker whose port is taken by a connection does not start."""
    for name, part in compose()["services"].items():
        assert all(int(port.split(":")[-2]) < 32_768 for port in part.get("ports", ())), name


def test_each_part_has_its_own_secret_and_folder_and_nobody_else_s() -> None:
    """A broken parser of the feed must not be able to read what the operator or a party logs in with."""
    services = compose()["services"]
    mounted = {name: {volume.split(":")[0] for volume in part.get("volumes", ())} for name, part in services.items()}
    everywhere = {"./certificates/ca.pem"}
    for name in services.keys() - {"provision"}:
        others = set().union(*(mounted[other] for other in services.keys() - {name, "provision"}))
        assert mounted[name] & others <= everywhere | {"./certificates/broker.pem"}, name
        assert "party-secrets" not in mounted[name], name
        secrets = [volume for volume in services[name].get("volumes", ()) if "/secrets/snp-" in volume]
        assert all(volume.endswith(":ro") for volume in secrets), name
        user = services[name].get("environment", {}).get("SNP_KAFKA__SASL_USERNAME")
        if user is not None:
            assert [volume.split(":")[1] for volume in secrets] == [f"/secrets/{user}"], name


def test_the_image_installs_what_the_tests_ran_with() -> None:
    lock = (DEPLOY / "requirements.lock").read_text()
    locked = pinned(re.sub(r" \\$", "", lock, flags=re.MULTILINE))
    constraints = pinned((TOP / "constraints.txt").read_text())
    assert locked.items() <= constraints.items()
    assert lock.count("--hash=sha256:") > len(locked)
    assert locked.keys() >= needed_at_run_time()
    assert "--require-hashes" in (DEPLOY / "Dockerfile").read_text()


def pinned(text: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", text, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def needed_at_run_time() -> set[str]:
    declared = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["dependencies"]
    return {canonicalize_name(Requirement(one).name) for one in declared}


def test_the_scripts_are_shell(tmp_path: Path) -> None:
    for script in DEPLOY.glob("*.sh"):
        accepts("sh", "-n", str(script))
    shutil.copy(DEPLOY / "certificates.sh", tmp_path)
    accepts("sh", "certificates.sh", "host.example", cwd=tmp_path)
    accepts(
        "openssl",
        "verify",
        "-CAfile",
        "ca.pem",
        "-verify_hostname",
        "host.example",
        "broker.pem",
        cwd=tmp_path / "certificates",
    )
    assert (tmp_path / "certificates").stat().st_mode & 0o077 == 0


def test_the_settings_in_the_compose_file_are_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A slip of the pen in a variable's name would be found only on the day it is needed."""
    monkeypatch.chdir(tmp_path)
    for name, part in compose()["services"].items():
        given = {key: value for key, value in part.get("environment", {}).items() if key.startswith("SNP_")}
        given.pop("SNP_HEALTH_PORT", None)  # the image's own
        with monkeypatch.context() as environment:
            for key, value in given.items():
                environment.setenv(key, value)
            if given:
                assert load_settings().log.startswith("kafka://"), name


def test_commands_in_the_compose_file_and_the_units_are_commands() -> None:
    units = [path.read_text() for path in (DEPLOY / "systemd").glob("*.service")]
    lines = [re.search(r"^ExecStart=\S+ --config \S+ (.+)$", text, re.MULTILINE) for text in units]
    commands = [line[1].split() for line in lines if line]
    commands += [
        part["command"] for part in compose()["services"].values() if "entrypoint" not in part and "command" in part
    ]
    assert len(commands) == 10
    for words in commands:
        options = [word for word in words if word.startswith("--")]
        names = [word for word in words[:2] if re.fullmatch("[a-z-]+", word) and not word.startswith("-")]
        shown = subprocess.run(
            [sys.executable, "-m", "router.cli", *names, "--help"], capture_output=True, text=True, check=True, cwd=TOP
        ).stdout
        for option in options:
            assert option in shown, words


def test_the_image_is_made_as_its_linter_likes_it() -> None:
    accepts(tool("hadolint"), "Dockerfile")


# systemd


def test_each_unit_is_a_user_of_its_own_that_reads_its_own_password_only() -> None:
    users = {}
    for unit in (DEPLOY / "systemd").glob("*.service"):
        text = unit.read_text()
        found = re.search(r"^User=(.+)$", text, re.MULTILINE)
        assert found
        users[unit.name] = found[1]
        assert f"SNP_KAFKA__SASL_USERNAME={found[1]} " in text
        assert f"SNP_KAFKA__SASL_PASSWORD_FILE=/etc/snp-router/secrets/{found[1]}\n" in text
        assert f"StateDirectory={found[1]}\n" in text
    assert len(set(users.values())) == len(users) == 5


def test_the_units_are_units(tmp_path: Path) -> None:
    assert remarks(tmp_path) == []


def test_the_units_checker_finds_a_slip_of_the_pen(tmp_path: Path) -> None:
    (remark,) = remarks(tmp_path, "PrivateTmp=", "PrivateTemp=")
    assert "Unknown key" in remark


def remarks(folder: Path, old: str = "", new: str = "") -> list[str]:
    """Return systemd's warnings about the units: it ignores words that it doesn't know. The program and the users
    are ones that are there, in place of ours. `old` is replaced by `new` in one unit."""
    for unit in (DEPLOY / "systemd").glob("*.service"):
        text = unit.read_text().replace("/opt/snp-router/bin/snp-router", "/bin/true")
        text = re.sub(r"^(User|Group)=.*", r"\1=root", text, flags=re.MULTILINE)
        (folder / unit.name).write_text(text)
    feed = folder / "snp-feed.service"
    feed.write_text(feed.read_text().replace(old, new))
    words = [tool("systemd-analyze"), "verify", *map(str, folder.iterdir())]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    found = [line for line in done.stderr.splitlines() if "snp-" in line]
    assert done.returncode == 0 or found, done.stderr
    return found
