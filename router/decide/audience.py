"""Who is told of a bill, in which role, by which rule; and who was considered and is not.

The rules are numbered as in docs/how-it-works.md: 1 the filer, 2 each second notify party, 3 the line whose
master bill it is under and the manifest carrier, 4 the lines aboard by their role and by what the agreement grants,
5 the parties of other bills in a stopped box (they hear of their own bill, so here they only get the role).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple, get_args

from router.decide.cargo_facts import Cargo
from router.decide.registry import Registry
from router.model.identifiers import is_vessel_key, split_bill_key
from router.model.registry_values import LineRole, Sailing
from router.model.vocabulary import Role

FILER: Final = "FILER"
SNP: Final = "SNP"
OPERATOR: Final = "OPERATOR"
CHARTERER: Final = "CHARTERER"
MASTER_CARRIER: Final = "MASTER_CARRIER"
CO_LOADER: Final = "CO_LOADER"
ROLES: Final[tuple[Role, ...]] = get_args(Role)


class Disclosure(IntEnum):
    """What a role may see of a notice, a ladder: each shows what those below it show, and more (`notice.SHOWN`). One
    party with several roles sees the most."""

    __hash__ = int.__hash__  # an enum's own is written in Python, and costs as much as what is looked up with it

    FULL = 0
    CARRIER = 1
    """All but remarks."""
    AGREEMENT = 2
    """All but entry type and number, master bill and remarks."""


DISCLOSURE_OF_ROLE: Final[Mapping[Role, Disclosure]] = {
    FILER: Disclosure.FULL,
    SNP: Disclosure.FULL,
    MASTER_CARRIER: Disclosure.CARRIER,
    OPERATOR: Disclosure.AGREEMENT,
    CHARTERER: Disclosure.AGREEMENT,
    CO_LOADER: Disclosure.AGREEMENT,
}

ROLE_ABOARD: Final[Mapping[LineRole, Role]] = {"operator": OPERATOR, "charterer": CHARTERER}

MOST_MEMBERS: Final = 500_000
"""Of all audiences kept at hand; beyond, all are worked out anew. A nation's bills under way come from far fewer
combinations of a dozen; a sailing with thousands of lines is not to fill the memory."""

ALWAYS: Final = "all"


class Ground(NamedTuple):
    """Why a party is told, or is not."""

    scac: str
    """Of the party (never an alias)."""
    role: Role | None
    rule: str
    when: str
    """`all` events, only while `holds` or a `do-not-load` stand, or `never` (considered and refused)."""


class Recipient(NamedTuple):
    """One party with all its grounds taken together."""

    scac: str
    roles: tuple[Role, ...]
    view: Disclosure
    when: str
    voyage_number: str | None
    """Its own, where it has a line aboard."""
    topic: str | None
    """None where nothing can be sent: then `why_not` says why."""
    why_not: str | None
    """PARTY_UNKNOWN, PARTY_NOT_LIVE, NO_TOPIC or EXTERNAL."""


class Audience(NamedTuple):
    members: dict[str, Recipient]
    sailing: Sailing | None
    unreached: tuple[Recipient, ...]
    """Those whom nothing can be sent to, and who wait for it: all without a topic but the external."""


class AudienceKey(NamedTuple):
    """All of a bill that decides over who is told of it, and nothing else: audiences are kept by it. What a new rule
    goes by has to be added here."""

    issuer: str | None
    """None: no bill but a vessel on its voyage."""
    snps: tuple[str, ...]
    master_carrier: str | None
    carrier: str | None
    imo_number: str | None
    voyage_number: str | None
    arrival_date: str | None
    in_stopped_box: bool


def audience_key(bill: str, known: Cargo, in_stopped_box: bool) -> AudienceKey:
    return AudienceKey(
        None if is_vessel_key(bill) else split_bill_key(bill)[0],
        known.snps,
        split_bill_key(known.master_bill)[0] if known.master_bill else None,
        known.carrier_scac,
        known.imo_number,
        known.voyage_number,
        known.arrival_date,
        in_stopped_box,
    )


def audience_of(bill: str, known: Cargo, in_stopped_box: bool, registry: Registry) -> Audience:
    """Everyone who may be told of the bill at some status, by SCAC. Worked out once for all bills with the same ties,
    until the registry changes."""
    ties = audience_key(bill, known, in_stopped_box)
    audience = registry.audiences.get(ties)
    if audience is None:
        audience = _work_out(ties, registry)
        registry.keep_audience(ties, audience, len(audience.members) + 1, MOST_MEMBERS)
    return audience


def _work_out(ties: AudienceKey, registry: Registry) -> Audience:
    sailing = registry.sailing(ties.imo_number, ties.carrier, ties.voyage_number, ties.arrival_date)
    merged: dict[str, list[Ground]] = {}
    for ground in grounds_of(ties, sailing, registry):
        if ground.when != "never":
            merged.setdefault(ground.scac, []).append(ground)
    voyages: dict[str, str | None] = {}
    for line in sailing.lines if sailing is not None else ():
        voyages.setdefault(registry.party_scac(line.scac), line.voyage_number)
    members = {scac: _member(scac, grounds, voyages.get(scac), registry) for scac, grounds in merged.items()}
    unreached = tuple(one for one in members.values() if one.topic is None and one.why_not != "EXTERNAL")
    return Audience(members, sailing, unreached)


def grounds_of(ties: AudienceKey, sailing: Sailing | None, registry: Registry) -> list[Ground]:
    """Every reason to tell or not to tell somebody, in the order of the rules; `explain` shows them as they are."""
    if ties.issuer is None:
        return _vessel_grounds(sailing, registry)
    name = registry.party_scac
    grounds = [Ground(name(ties.issuer), FILER, "1: issuer of the bill", ALWAYS)]
    for snp in ties.snps:
        kind, _, code = snp.rpartition(":")
        if kind in ("", "2", "SCAC"):
            grounds.append(Ground(name(code), SNP, "2: second notify party on the bill", ALWAYS))
        else:
            grounds.append(Ground(snp, None, f"2: second notify party by {kind}, not a SCAC", "never"))
    if ties.master_carrier:
        grounds.append(Ground(name(ties.master_carrier), MASTER_CARRIER, "3: issued the master bill", ALWAYS))
    if ties.carrier:
        grounds.append(Ground(name(ties.carrier), MASTER_CARRIER, "3: the bill is on its manifest", ALWAYS))
    if sailing is not None:
        grounds.extend(_aboard(sailing, ties, ties.issuer, registry))
    if ties.in_stopped_box:
        told = {ground.scac for ground in grounds if ground.role in (FILER, SNP)}
        grounds.extend(
            Ground(scac, CO_LOADER, "5: its bill is in a stopped container", ALWAYS) for scac in sorted(told)
        )
    return grounds


def _vessel_grounds(sailing: Sailing | None, registry: Registry) -> list[Ground]:
    """What happens to the vessel concerns every line aboard, whatever it was granted of others' bills."""
    if sailing is None:
        return []
    aboard = f"4: aboard {sailing.sailing_id}, an event of the vessel"
    return [Ground(registry.party_scac(line.scac), ROLE_ABOARD[line.role], aboard, ALWAYS) for line in sailing.lines]


def _aboard(sailing: Sailing, ties: AudienceKey, issuer: str, registry: Registry) -> list[Ground]:
    name = registry.party_scac
    charterers = {name(line.scac) for line in sailing.lines if line.role == "charterer"}
    carrier = name(ties.carrier or "")
    own = {name(issuer), carrier, *(name(snp.rpartition(":")[2]) for snp in ties.snps)}
    grounds = []
    for line in sailing.lines:
        scac = name(line.scac)
        aboard = f"aboard {sailing.sailing_id}"
        role = ROLE_ABOARD[line.role]
        if line.role == "operator" and carrier in charterers:
            grounds.append(Ground(scac, role, f"4: operator, {aboard}, for a charterer's bill", ALWAYS))
        elif line.role == "charterer" and scac in own:
            grounds.append(Ground(scac, role, f"4: charterer, {aboard}, for its own bill", ALWAYS))
        elif line.scope != "own":
            grounds.append(Ground(scac, role, f"4: {line.role}, {aboard}, granted {line.scope}", line.scope))
        else:
            grounds.append(Ground(scac, None, f"4: {line.role}, {aboard}, granted only its own bills", "never"))
    return grounds


_WIDEST: Final = {ALWAYS: 0, "holds": 1, "do-not-load": 2}


def _member(scac: str, grounds: list[Ground], voyage: str | None, registry: Registry) -> Recipient:
    roles = {ground.role for ground in grounds if ground.role}
    when = min((ground.when for ground in grounds), key=_WIDEST.__getitem__)
    party = registry.parties.get(scac)
    why_not = None
    if party is None:
        why_not = "PARTY_UNKNOWN"
    elif party.status == "external":
        why_not = "EXTERNAL"
    elif party.status != "live":
        why_not = "PARTY_NOT_LIVE"
    elif party.topic in registry.missing_topics:
        why_not = "NO_TOPIC"
    topic = party.topic if party is not None and why_not is None else None
    ordered = tuple(role for role in ROLES if role in roles)
    view = min(DISCLOSURE_OF_ROLE[role] for role in ordered)
    return Recipient(scac, ordered, view, when, voyage, topic, why_not)
