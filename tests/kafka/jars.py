"""A real broker's parts: Java, and the jars from Maven, kept in `.kafka/` (outside git) between runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

VERSION = os.environ.get("SNP_TEST_KAFKA_VERSION", "4.1.1")
"""4.1.1 is what we develop against; 3.9.2 is the other one that is supported."""

CACHE = Path(__file__).parents[2] / ".kafka"
JAVA_FLAGS = ("-XX:+UseSerialGC", "-Djava.awt.headless=true")
MINIMUM_JAVA = 17


class Unavailable(Exception):
    """No broker can be started here. The text is the reason."""


@cache
def jars(version: str = VERSION) -> Path:
    """Return the folder with the jars of `version`, downloaded on first use. Raises Unavailable."""
    check_java()
    folder = CACHE / version / "libs"
    if (folder / ".complete").exists():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable(f"the jars of Kafka {version} are not in {folder} and there is no Maven (mvn) to fetch them")
    binding = "-Dreload4j" if version.startswith("3.") else "-Dlog4j2"
    subprocess.run(
        [
            *(maven, "-q", "-B", "-f", str(Path(__file__).with_name("pom.xml")), "dependency:copy-dependencies"),
            *(f"-DoutputDirectory={folder}", "-DincludeScope=runtime", f"-Dkafka.version={version}", binding),
        ],
        check=True,
        timeout=600,
    )
    (folder / ".complete").touch()
    return folder


def java(version: str, heap: str, *arguments: str) -> list[str]:
    """Return a command line that runs a class of Kafka."""
    folder = jars(version)
    class_path = ":".join(str(jar) for jar in sorted(folder.glob("*.jar")))
    flags = [*JAVA_FLAGS, f"-Xmx{heap}", *_logging(version), "-XX:TieredStopAtLevel=1"]
    return ["java", *flags, "-cp", class_path, *arguments]


def _logging(version: str) -> list[str]:
    if version.startswith("3."):
        file, option, content = "log4j.properties", "log4j.configuration=file:", _LOG4J1
    else:
        file, option, content = "log4j2.properties", "log4j2.configurationFile=", _LOG4J2
    path = CACHE / version / file
    if not path.exists():
        path.write_text(content)
    return [f"-D{option}{path}"]


@cache
def check_java() -> None:
    """Raise Unavailable if Java is missing or too old."""
    executable = shutil.which("java")
    if executable is None:
        raise Unavailable("there is no Java on the path")
    text = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=30).stderr
    found = re.search(r'version "(\d+)', text)
    if found is None or int(found[1]) < MINIMUM_JAVA:
        raise Unavailable(f"Java {MINIMUM_JAVA} or newer is needed, found: {text.splitlines()[0] if text else 'none'}")


_LOG4J2 = """\
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c{1} %m%n
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=console
"""

_LOG4J1 = """\
log4j.rootLogger=WARN, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %c{1} %m%n
"""
