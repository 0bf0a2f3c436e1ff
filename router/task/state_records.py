"""A bill's state to and from its record in `snp.bills`. Fields are spelt out in schemas/bill-state.avsc; nested
records are tuples in the schema's order, so most go in and out as they are."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Final

from router import avro, codec
from router.decide.account import Account, HeldPieces, LedgerEvent, StandingRelease
from router.decide.audience import ROLES
from router.decide.bill_state import BillState, LastNotice
from router.decide.cargo_facts import CargoFacts, ShipmentReport
from router.decide.manual_events import DowntimeRecord, Paper, RelayedEvent
from router.decide.status import UnparsedEvent
from router.model.vocabulary import Kind, Role


def encode_state(state: BillState) -> bytes:
    """In the schema's order."""
    facts = state.facts
    return codec.encode(
        "bill-state",
        (
            state.key,
            state.sequence,
            state.touched,
            facts.filing,
            [(posted, received_at, *scalars) for posted, received_at, scalars in facts.learnt],
            facts.snps,
            facts.containers,
            state.snapshot,
            _account_datum(state.folded) if state.folded else None,
            state.fold_line,
            state.events,
            state.unread.values(),
            sorted(state.settled),
            sorted(state.confirmed),
            state.links.values(),
            [_told_datum(scac, told) for scac, told in state.told.items()],
            state.waiting,
            state.waiting_since,
            state.said.values(),
            _offline_datum(state.offline) if state.offline is not None else None,
        ),
    )


@cache
def _decoder() -> avro.Decode:
    builds: dict[str, avro.Builder] = codec.BUILDS | {
        "LedgerEvent": LedgerEvent,
        "Lot": StandingRelease,
        "Unread": UnparsedEvent,
        "Account": _account,
        "Learnt": lambda values: ShipmentReport(values[0], values[1], values[2:]),
        "HeldPieces": lambda values: ((values[0], values[1]), HeldPieces(values[2], values[3])),
        "Told": _told,
        "Word": RelayedEvent,
        "Paper": Paper,
        "Offline": _offline,
    }
    return avro.decoder(codec.raw_schema("bill-state"), builds, codec.VARIED)


def decode_state(value: bytes) -> BillState:
    """Raises InputError if the value isn't a bill's state."""
    datum = codec.unframe("bill-state", value, _decoder())
    return BillState(
        datum["key"],
        datum["sequence"],
        datum["touched"],
        CargoFacts(datum["filing"], datum["learnt"], datum["snps"], datum["containers"]),
        datum["snapshot"],
        datum["folded"],
        datum["fold_line"],
        list(datum["events"]),
        {unread.id: unread for unread in datum["unread"]},
        set(datum["settled"]),
        set(datum["confirmed"]),
        {link.key: link for link in datum["links"]},
        dict(datum["told"]),
        datum["waiting"],
        datum["waiting_since"],
        {fact.key: fact for fact in datum["said"]},
        datum["offline"],
    )


def _account_datum(account: Account) -> dict[str, Any]:
    return {
        "holds": [(*key, *standing) for key, standing in account.holds.items()],
        "lots": account.lots,
        "authorities": account.authorities,
        "manifested": account.manifested,
        "complete": account.complete,
        "taken_back": account.taken_back,
        "closed": account.closed,
        "added": account.added,
        "deleted": account.deleted,
        "last_entry_code": account.last_entry_code,
        "last_posted": account.last_posted,
    }


def _account(values: tuple[Any, ...]) -> Account:
    holds, lots, *rest = values
    return Account(dict(holds), list(lots), *rest)


def _offline_datum(offline: DowntimeRecord) -> tuple[Any, ...]:
    return tuple(offline.words.values()), offline.paper, offline.replaces


def _offline(values: tuple[Any, ...]) -> DowntimeRecord:
    words, paper, replaces = values
    return DowntimeRecord({word.id: word for word in words}, paper, replaces)


FIRST_ROLE_BIT: Final = 5


def _told_datum(scac: str, told: LastNotice) -> tuple[str, int, int]:
    word = codec.NOTICE_KINDS.index(told.kind) | told.stopped << 2 | told.do_not_load << 3 | told.deliverable << 4
    return scac, word | _role_bits(told.roles), told.sequence


@cache
def _role_bits(roles: tuple[Role, ...]) -> int:
    return sum(1 << FIRST_ROLE_BIT + place for place, role in enumerate(ROLES) if role in roles)


def _told(values: tuple[Any, ...]) -> tuple[str, LastNotice]:
    scac, word, sequence = values
    return scac, LastNotice(*_said_by(word), sequence)


@lru_cache(1024)
def _said_by(word: int) -> tuple[Kind, bool, bool, bool, tuple[Role, ...]]:
    roles = tuple(role for place, role in enumerate(ROLES) if word >> FIRST_ROLE_BIT + place & 1)
    return codec.NOTICE_KINDS[word & 3], bool(word & 4), bool(word & 8), bool(word & 16), roles
