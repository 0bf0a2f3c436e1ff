"""The manifests in `deploy/kubernetes/`, against schemas, settings and commands; no cluster is needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner

from router.cli.main import app
from router.log.kafka.connection import KafkaSettings
from router.provision.access_rights import ProvisionSettings
from router.settings import load_settings
from tests.deploy.test_deploy import tool

FOLDER = Path(__file__).parents[2] / "deploy/kubernetes"
KUBERNETES = "1.37"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
NAME = "app.kubernetes.io/name"
USERS = {
    "router": ("snp-router", 10001),
    "feed": ("snp-feed", 10002),
    "listener": ("snp-listener", 10003),
    "console": ("snp-operator", 10004),
    "webhooks": ("snp-webhooks", 10005),
    "registry": (None, 65534),
}

Manifest = dict[str, Any]
MANIFESTS: list[Manifest] = [
    found for name in KUSTOMIZATION["resources"] for found in yaml.safe_load_all((FOLDER / name).read_text())
]


def manifests(kind: str) -> Iterator[Manifest]:
    return (one for one in MANIFESTS if one["kind"] == kind)


DEPLOYMENTS = {found["metadata"]["name"]: found["spec"] for found in manifests("Deployment")}
parts = pytest.mark.parametrize("name", USERS)


def pod(name: str) -> Manifest:
    found: Manifest = DEPLOYMENTS[name]["template"]["spec"]
    return found


def container(name: str) -> Manifest:
    (found,) = pod(name)["containers"]
    assert not pod(name).keys() & {"initContainers", "ephemeralContainers"}
    return dict(found)


def labels(name: str) -> dict[str, str]:
    return dict(DEPLOYMENTS[name]["template"]["metadata"]["labels"])


def selecting(kind: str, name: str) -> list[Manifest]:
    """Specs of this kind that select the part's pods."""
    found = []
    for spec in (one["spec"] for one in manifests(kind)):
        selector = spec.get("podSelector", spec.get("selector"))
        assert selector.keys() <= {"matchLabels"}
        if selector.get("matchLabels", {}).items() <= labels(name).items():
            found.append(spec)
    return found


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda one: f"{one['kind']} {one['metadata']['name']}")
def test_manifests_follow_the_schemas_of_kubernetes(manifest: Manifest) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_checker_finds_a_slip_of_the_pen() -> None:
    slip = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"selectors": {}}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(slip, KUBERNETES, strict=True)


def test_the_kustomization_lists_every_file() -> None:
    assert {path.name for path in FOLDER.iterdir()} - {"kustomization.yaml", "secret.sh"} == set(
        KUSTOMIZATION["resources"]
    )


def test_kustomize_builds_them() -> None:
    built = build(FOLDER)
    assert len(built) == len(MANIFESTS) + len(KUSTOMIZATION["configMapGenerator"])
    assert images(built) == {"registry.example/snp-router:0.1.0"}
    for one in built:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)


def test_an_installation_names_its_image_brokers_and_namespaces_as_the_page_shows(tmp_path: Path) -> None:
    """The kustomization in docs/installing.md, beside a copy of ours."""
    page = (FOLDER.parents[1] / "docs/installing.md").read_text()
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    shutil.copytree(FOLDER, tmp_path / "deploy/kubernetes")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours/kustomization.yaml").write_text(shown)
    built = build(tmp_path / "ours")
    assert len(built) == len(build(FOLDER))
    assert images(built) == {"images.yours.example/snp-router:2026-12-01"}
    (log,) = (one["data"] for one in built if one["kind"] == "ConfigMap")
    assert log["SNP_LOG"] == "kafka://kafka-0.yours.example:9092,kafka-1.yours.example:9092"
    assert "/ca.pem" in log["SNP_KAFKA__SSL_CAFILE"]
    policies = str([one["spec"] for one in built if one["kind"] == "NetworkPolicy"])
    named = set(re.findall(r"'kubernetes.io/metadata.name': '([^']+)'", policies))
    assert named == {"kube-system", "our-brokers", "our-ingress", "our-monitoring"}


def build(folder: Path) -> list[Manifest]:
    done = subprocess.run(
        [tool("kubectl"), "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def images(built: list[Manifest]) -> set[str]:
    pods = (one["spec"]["template"]["spec"] for one in built if one["kind"] == "Deployment")
    return {one["image"] for pod in pods for one in pod["containers"]}


def test_each_service_has_a_deployment_and_nothing_else_runs() -> None:
    assert DEPLOYMENTS.keys() == USERS.keys()
    assert {one["kind"] for one in MANIFESTS} == {
        "Namespace",
        "Deployment",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "PodDisruptionBudget",
        "Service",
    }
    users = ProvisionSettings()
    ours = {users.router_user, *users.feed_users, *users.listener_users, *users.webhook_users, *users.operator_users}
    assert ours == {user for user, _ in USERS.values() if user}


@parts
def test_every_part_is_hardened(name: str) -> None:
    context, group = pod(name)["securityContext"], 10000 if USERS[name][0] else 65534
    assert context | {"fsGroupChangePolicy": "OnRootMismatch"} == {
        "runAsNonRoot": True,
        "runAsUser": USERS[name][1],
        "runAsGroup": group,
        "fsGroup": group,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod(name)["automountServiceAccountToken"] is False
    assert pod(name)["enableServiceLinks"] is False
    assert not pod(name).keys() & {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName", "shareProcessNamespace"}
    assert "hostPort" not in str(container(name).get("ports"))
    resources = container(name)["resources"]
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert resources["limits"].keys() == {"memory"}  # a limit of CPU would only slow down what was given room


def test_the_namespace_admits_hardened_pods_only() -> None:
    (namespace,) = manifests("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert namespace["metadata"]["name"] == KUSTOMIZATION["namespace"]


@parts
def test_a_part_has_its_own_secret_and_no_other(name: str) -> None:
    user = USERS[name][0]
    volumes = {one["name"]: one for one in pod(name)["volumes"]}
    kinds = {key for one in volumes.values() for key in one} - {"name"}
    assert kinds <= {"secret", "configMap", "emptyDir", "persistentVolumeClaim"}
    assert [one["secret"]["secretName"] for one in volumes.values() if "secret" in one] == ([user] if user else [])
    assert "secret" not in str([container(name).get("envFrom"), container(name).get("env")]).replace("/secrets/", "")
    claims = [one["persistentVolumeClaim"]["claimName"] for one in volumes.values() if "persistentVolumeClaim" in one]
    assert claims == [
        one["metadata"]["name"] for one in manifests("PersistentVolumeClaim") if one["metadata"]["name"] == name
    ]
    mounted = {one["name"]: one["mountPath"] for one in container(name)["volumeMounts"]}
    assert mounted.keys() == volumes.keys()
    if user:
        (item,) = volumes["password"]["secret"]["items"]
        assert f"{mounted['password']}/{item['path']}" == given_settings(name)["SNP_KAFKA__SASL_PASSWORD_FILE"]
        assert given_settings(name)["SNP_KAFKA__SASL_USERNAME"] == user


def test_parts_whose_state_is_a_volume_run_once_and_let_go_of_it_first() -> None:
    stateful = {one["metadata"]["name"] for one in manifests("PersistentVolumeClaim")}
    assert stateful == {"feed", "listener", "console", "webhooks"}
    for name, spec in DEPLOYMENTS.items():
        assert (spec["replicas"] == 1) == (name in stateful)
        assert (spec.get("strategy") == {"type": "Recreate"}) == (name in stateful)
        assert (container(name)["workingDir"] != "/tmp") == (name in stateful)
        assert container(name)["workingDir"] in {one["mountPath"] for one in container(name)["volumeMounts"]}


@parts
def test_a_part_may_be_evicted_one_pod_at_a_time(name: str) -> None:
    (budget,) = selecting("PodDisruptionBudget", name)
    assert budget["maxUnavailable"] == 1
    assert DEPLOYMENTS[name]["selector"]["matchLabels"].items() <= labels(name).items()


@parts
def test_probes_ask_what_the_part_answers(name: str) -> None:
    ports = {one["name"]: one["containerPort"] for one in container(name).get("ports", [])}
    assert {f"0.0.0.0:{port}" for port in ports.values()} == set(
        re.findall(r"[\d.]+:\d+", str(container(name)["args"]))
    )
    probes = {key: one for key, one in container(name).items() if key.endswith("Probe")}
    if "status" in ports:
        assert probes["livenessProbe"]["httpGet"] == {"path": "/live", "port": "status"}
        assert probes["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "status"}
    elif "http" in ports:
        assert {one["httpGet"]["port"] for one in probes.values()} == {"http"}
    assert "readinessProbe" in probes


@parts
def test_a_part_reaches_and_is_reached_by_only_what_it_needs(name: str) -> None:
    policies = selecting("NetworkPolicy", name)
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies
    ways_in = [rule for policy in policies for rule in policy.get("ingress", [])]
    ways_out = [rule for policy in policies for rule in policy.get("egress", [])]
    assert all(rule.get("from") and rule.get("ports") for rule in ways_in)
    assert all(rule.get("to") and rule.get("ports") for rule in ways_out)
    opened = [one["port"] for rule in ways_in for one in rule["ports"]]
    assert opened == [one["name"] for one in container(name).get("ports", [])]
    expected = {9092, 53} if USERS[name][0] else set()
    assert {one["port"] for rule in ways_out for one in rule["ports"]} == expected | (
        {443} if name == "webhooks" else set()
    )


def test_every_policy_budget_and_service_selects_a_part() -> None:
    for kind in ("NetworkPolicy", "PodDisruptionBudget"):
        selected = [spec for name in USERS for spec in selecting(kind, name)]
        assert all(one["spec"] in selected for one in manifests(kind))
    for service in manifests("Service"):
        name = service["metadata"]["name"]
        assert service["spec"]["selector"] == {NAME: name}
        (port,) = service["spec"]["ports"]
        assert {"name": "http", "containerPort": port["port"]} in container(name)["ports"]


def given_settings(name: str) -> dict[str, str]:
    """The environment that a part's container gets, its config maps read."""
    made = {
        one["name"]: dict(line.split("=", 1) for line in one["literals"]) for one in KUSTOMIZATION["configMapGenerator"]
    }
    found: dict[str, str] = {}
    for one in container(name).get("envFrom", []):
        found |= made[one["configMapRef"]["name"]]
    return found | {one["name"]: one["value"] for one in container(name).get("env", [])}


@parts
def test_variables_are_settings(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for key, value in given_settings(name).items():
        monkeypatch.setenv(key, value)
    settings = load_settings()
    assert settings.log.startswith("kafka://") == bool(USERS[name][0])
    KafkaSettings(**settings.kafka)


@parts
def test_arguments_are_a_command_and_its_options(name: str) -> None:
    words = container(name)["args"]
    names = [word for word in words[:2] if re.fullmatch("[a-z][a-z-]*", word)]
    shown = CliRunner().invoke(app, [*names, "--help"])
    assert shown.exit_code == 0, shown.output
    for option in (word for word in words if word.startswith("--")):
        assert option in shown.output


def test_secret_sh_hands_the_password_to_kubectl_on_standard_input_alone(tmp_path: Path) -> None:
    """A stand-in for kubectl keeps its words and what it was given."""
    done = hand_over(tmp_path, 'echo "$@" >> "$0.words"\ntee -a "$0.$1"', "snp.NVXA")
    assert done.returncode == 0, done.stderr
    words = (tmp_path / "kubectl.words").read_text()
    assert "only-for-this-test" not in words + done.stderr
    assert f"create secret generic snp.nvxa --namespace {KUSTOMIZATION['namespace']}" in words
    assert (tmp_path / "kubectl.create").read_text() == "only-for-this-test"
    assert (tmp_path / "kubectl.apply").read_text() == "only-for-this-test"


def test_secret_sh_fails_where_kubectl_does(tmp_path: Path) -> None:
    assert hand_over(tmp_path, "exit 1", "snp-feed").returncode != 0


def hand_over(folder: Path, kubectl: str, user: str) -> subprocess.CompletedProcess[str]:
    """Run secret.sh for a user, with these lines of shell in kubectl's place."""
    stand_in = folder / "kubectl"
    stand_in.write_text(f"#!/bin/sh\n{kubectl}\n")
    stand_in.chmod(0o700)
    return subprocess.run(
        ["sh", str(FOLDER / "secret.sh"), user],
        input="only-for-this-test",
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
