"""An Apicurio registry from Maven Central, in memory, with Confluent's API: a real external registry for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kafka.broker import free_ports
from tests.kafka.jars import CACHE, Unavailable, check_java

VERSION = "3.0.9"
"""The last that runs on Java 17."""
FOLDER = CACHE / f"apicurio-{VERSION}"
JAR = FOLDER / f"apicurio-registry-app-{VERSION}-runner.jar"
START_SECONDS = 90
FETCH_SECONDS = 300
POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>snp</groupId><artifactId>test-registry</artifactId><version>1</version><packaging>pom</packaging>
</project>
"""


@contextmanager
def apicurio(folder: Path) -> Iterator[str]:
    """The address of its Confluent API. Skips where it can't be fetched; under CI=true fails instead."""
    try:
        _fetch()
    except Unavailable as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no Apicurio registry to test with: {reason}")
        pytest.skip(f"no Apicurio registry to test with: {reason}")
    port = free_ports(1)[0]
    flags = ("-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dquarkus.http.host=127.0.0.1")
    with (folder / "apicurio.log").open("wb") as log:
        command = ["java", *flags, f"-Dquarkus.http.port={port}", "-jar", str(JAR)]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
        _wait(url, process)
        yield url
    finally:
        process.kill()
        process.wait(20)


def _fetch() -> None:
    check_java()
    if JAR.exists():
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable(f"{JAR} is not there and there is no Maven (mvn) to fetch it")
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "pom.xml").write_text(POM)
    artifact = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
    words = ["-q", "-B", "-f", str(FOLDER / "pom.xml"), "dependency:copy"]
    done = subprocess.run(
        [maven, *words, f"-Dartifact={artifact}", f"-DoutputDirectory={FOLDER}"],
        capture_output=True,
        text=True,
        timeout=FETCH_SECONDS,
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"Maven can't fetch {artifact}: {done.stdout[-500:]}")
    archive = FOLDER / f"apicurio-registry-app-{VERSION}-all.tar.gz"
    with tarfile.open(archive) as packed:
        packed.extractall(FOLDER, filter="data")
    archive.unlink()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/subjects", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError(f"Apicurio did not answer at {url} within {START_SECONDS} s (exit code {process.poll()})")
