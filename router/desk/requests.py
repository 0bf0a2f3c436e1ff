"""A party's resync as an operator asks for it."""

from __future__ import annotations

import secrets

from router.desk.views import find_party
from router.engine.administration import AuditEntry, audit_output
from router.errors import UsageError
from router.log.interface import Log
from router.model.registry_values import RESYNC, Request
from router.task.outputs import registry_output

ID_BYTES = 8


async def ask_resync(log: Log, scac: str, by: str, now: int) -> Request:
    """The status now of all the party's open bills, once. Raises NotFoundError, UsageError."""
    party = await find_party(log, scac)
    if party.status != "live":
        raise UsageError(f"party {party.scac} is {party.status}: it is told nothing, so there is nothing to send again")
    request = Request(secrets.token_hex(ID_BYTES), RESYNC, party.scac, by, now)
    await log.append([registry_output(request), audit_output(AuditEntry(now, by, "resync", party.scac))], atomic=True)
    return request
