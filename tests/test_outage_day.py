"""The commands of docs/outage-day.md work as they are written there, in that order."""

from __future__ import annotations

import re
import shlex

from router.clock import now_milliseconds
from router.model.eastern import iso
from tests.cli.conftest import Command, command
from tests.test_readme import ROOT

__all__ = ["command"]

PAGE = (ROOT / "docs" / "outage-day.md").read_text()
FILED = """scac,bill_of_lading,carrier_scac,imo_number,voyage_number,container_numbers,manifested_quantity
SLTC,E0001,SLTC,9074729,S26E,SLCU000001,40
"""


def type_line(command: Command, line: str) -> str:
    """Run one line of the page, with its placeholders filled in; return its output, which may also go to a file."""
    typed, _, file = line.partition(" > ")
    words = shlex.split(typed)
    if "ID" in words:
        words[words.index("ID")] = command.json("outage", "list")[0]["id"][:4]
    if "TIME" in words:
        words[words.index("TIME")] = iso(now_milliseconds())
    assert words[0] == "snp-router"
    shown = command(*words[1:]).stdout
    if file:
        command.write(file, shown)
    return shown


def test_the_day_can_be_typed_from_the_page(command: Command) -> None:
    command.set_up()
    command.write("filed.csv", FILED)
    command.write("procedures.csv", "port,procedure,telephone\n2704,Fax the list of boxes,+1-310-555-0100\n")
    (command.folder / "router").mkdir()
    (command.folder / "router" / "demo").symlink_to(ROOT / "router" / "demo")
    blocks = re.findall(r"<!-- outage day: ([\w ]+) -->\n```bash\n(.*?)```", PAGE, re.DOTALL)
    shown = {name: "".join(type_line(command, line) for line in lines.splitlines()) for name, lines in blocks}
    assert "cyberattack" in shown["declare"]
    assert "DO_NOT_LOAD" in shown["by hand"]
    assert "SLTCPAPER0001" in shown["paper"]
    assert "filed as SLTCE0001" in shown["match"]
    assert "RESYNC" in shown["resync"]
    assert "+1-310-555-0100" in (command.folder / "checklist.html").read_text()
    assert (command.folder / "history.html").exists()
