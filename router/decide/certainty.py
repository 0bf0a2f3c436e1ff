"""The certainty of an event: the doubts of its reader, and those that its own values leave.

An event that is not certain stops as any other, and frees nothing.
"""

from __future__ import annotations

from router.decide.codes import Effect
from router.decide.ledger_event import LedgerEvent
from router.decide.rules import Rules
from router.model.identifiers import is_container_key, is_valid_scac
from router.model.inputs import NOWHERE, Disposition


def with_certainty(record: Disposition, rules: Rules) -> Disposition:
    """The event as X420 has it, if a rule gives the meaning of its value. Of one whose issuer is no SCAC, not even the
    bill is certain."""
    if record.scac is not None and not is_valid_scac(record.scac):
        record = record._replace(uncertain="BILL")
    if record.indicator is None:
        return record
    meaning = rules.x420_meanings.get(record.indicator)
    if meaning == "reversal":
        return record._replace(reversal=True)
    return record._replace(resent=True) if meaning == "resent" else record


def may_not_free(event: LedgerEvent, rules: Rules) -> bool:
    """True if X420 has an unknown meaning, or a release or authority names a container that can't be recognised."""
    if event.indicator is not None and event.indicator not in rules.x420_meanings:
        return True
    if all(map(is_container_key, event.containers)):
        return False
    code = rules.codes.get(event.code)
    return code is not None and code.effect in (Effect.RELEASE, Effect.MOVE)


def shown(record: Disposition) -> Disposition:
    """The event as notices show it: of one that may be another bill's, nothing that this bill's parties may not see."""
    if record.uncertain != "BILL":
        return record
    return record._replace(
        entry_type=None, entry_number=None, container_numbers=(), remarks=None, snps=(), shipment=NOWHERE
    )
