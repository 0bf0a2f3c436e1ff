"""The audience of a bill: its recipients with their roles and grounds, and parties considered and refused.

The rules are numbered as in docs/how-it-works.md: 1 the filer; 2 each second notify party; 3 the line whose master bill
it is under, and the manifest carrier; 4 the lines aboard, by role and by the scope their agreement grants; 5 the
NVOCCs with other bills in a stopped box, which only get the role here, since they are notified of their own bill.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple, get_args

from router.decide.cargo_facts import Cargo
from router.decide.registry import Registry
from router.model.identifiers import bill_key, is_vessel_key, split_bill_key
from router.model.inputs import Filing
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
    """Steps of disclosure: each shows the fields of the steps below it, and more (`notices.SHOWN`).

    A party with several roles gets the widest.
    """

    __hash__ = int.__hash__  # an enum's own is written in Python, and costs as much as the look-up

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

MOST_KEPT_RECIPIENTS: Final = 500_000
"""Recipients in all kept audiences. A nation's open bills need far fewer; a sailing with thousands of lines must not
fill the memory."""

ALWAYS: Final = "all"


class Ground(NamedTuple):
    """The reason to notify a party of a bill, or not to."""

    party: str
    """Its own id, never an alias."""
    role: Role | None
    rule: str
    scope: str
    """`all` events, only while `holds` or a `do-not-load` stand, or `never` (considered and refused)."""


class Recipient(NamedTuple):
    """One party with all its grounds merged."""

    id: str
    """The party's own id, or the spelling under which an unregistered one waits."""
    roles: tuple[Role, ...]
    disclosure: Disclosure
    scope: str
    voyage_number: str | None
    """Its own, if it has a line aboard."""
    topic: str | None
    """None if nothing can be sent; `unreachable` then gives the reason."""
    unreachable: str | None
    """PARTY_UNKNOWN, PARTY_NOT_LIVE, NO_TOPIC or EXTERNAL."""


class Audience(NamedTuple):
    recipients: dict[str, Recipient]
    """By id."""
    sailing: Sailing | None
    waiting: tuple[Recipient, ...]
    """Recipients without a topic, except external ones."""


class AudienceKey(NamedTuple):
    """Everything of a bill that decides on its audience. Audiences are cached by it; a new rule adds its inputs
    here."""

    issuer: str | None
    """None for a vessel on its voyage."""
    snps: tuple[str, ...]
    master_carrier: str | None
    carrier: str | None
    imo_number: str | None
    voyage_number: str | None
    arrival_date: str | None
    is_house: bool
    """True for an NVOCC's bill, as far as is known (`Cargo.needs_snp`)."""
    in_stopped_box: bool


def audience_key(bill: str, cargo: Cargo, in_stopped_box: bool) -> AudienceKey:
    shipment = cargo.shipment
    issuer = None if is_vessel_key(bill) else split_bill_key(bill)[0]
    return AudienceKey(
        issuer,
        cargo.snps,
        split_bill_key(shipment.master_bill)[0] if shipment.master_bill else None,
        shipment.carrier_scac,
        shipment.imo_number,
        shipment.voyage_number,
        shipment.arrival_date,
        issuer is not None and cargo.needs_snp(issuer),
        in_stopped_box,
    )


def audience_of(bill: str, cargo: Cargo, in_stopped_box: bool, registry: Registry) -> Audience:
    """Everyone who may be notified of the bill at some status. Cached by `audience_key` until the registry changes."""
    key = audience_key(bill, cargo, in_stopped_box)
    audience = registry.audiences.get(key)
    if audience is None:
        audience = _audience(key, registry)
        registry.keep_audience(key, audience, len(audience.recipients) + 1, MOST_KEPT_RECIPIENTS)
    return audience


def _audience(key: AudienceKey, registry: Registry) -> Audience:
    sailing = registry.sailing(key.imo_number, key.carrier, key.voyage_number, key.arrival_date)
    merged: dict[str, list[Ground]] = {}
    for ground in grounds_of(key, sailing, registry):
        if ground.scope != "never":
            merged.setdefault(ground.party, []).append(ground)
    voyages: dict[str, str | None] = {}
    for line in sailing.lines if sailing is not None else ():
        voyages.setdefault(registry.party_id(line.scac), line.voyage_number)
    recipients = {party: _recipient(party, grounds, voyages.get(party), registry) for party, grounds in merged.items()}
    waiting = tuple(one for one in recipients.values() if one.topic is None and one.unreachable != "EXTERNAL")
    return Audience(recipients, sailing, waiting)


def grounds_of(key: AudienceKey, sailing: Sailing | None, registry: Registry) -> list[Ground]:
    """Every ground to notify a party or to refuse it, in the order of the rules. `explain` shows them."""
    if key.issuer is None:
        return _vessel_grounds(sailing, registry)
    name = registry.party_id
    grounds = [Ground(name(key.issuer), FILER, "1: issuer of the bill", ALWAYS)]
    snps = map(registry.snp_party_id, key.snps)
    grounds += [Ground(snp, SNP, "2: second notify party on the bill", ALWAYS) for snp in snps]
    if key.master_carrier:
        grounds.append(Ground(name(key.master_carrier), MASTER_CARRIER, "3: issued the master bill", ALWAYS))
    if key.carrier:
        grounds.append(Ground(name(key.carrier), MASTER_CARRIER, "3: the bill is on its manifest", ALWAYS))
    if sailing is not None:
        grounds.extend(_aboard(sailing, key, key.issuer, registry))
    if key.in_stopped_box and _is_nvocc(name(key.issuer), key, registry):
        grounds.append(Ground(name(key.issuer), CO_LOADER, "5: its bill is in a stopped container", ALWAYS))
    return grounds


def _is_nvocc(filer: str, key: AudienceKey, registry: Registry) -> bool:
    """True for the filer of a house bill, or a party registered as one; never for a line with vessels or slots."""
    carriers = {registry.party_id(scac) for scac in (key.carrier, key.master_carrier) if scac}
    if filer in carriers or registry.is_line(filer):
        return False
    party = registry.parties.get(filer)
    roles = {role.lower() for role in party.roles} if party is not None else set()
    return "nvocc" in roles or (key.is_house and "carrier" not in roles)


def is_nvoccs_empty(filing: Filing, registry: Registry) -> bool:
    """True for a bill of type empty that an NVOCC filed: empty containers are declared by carriers only (CBP Trade Act
    FAQ, vessel mode, section 16). An NVOCC is a party registered as one, or the filer of a bill under another's."""
    cargo = Cargo(filing.bill_type, filing.snps, filing.shipment)
    if not cargo.is_empty:
        return False
    key = audience_key(bill_key(filing.scac, filing.bill_of_lading), cargo, in_stopped_box=False)
    return _is_nvocc(registry.party_id(filing.scac), key._replace(is_house=key.master_carrier is not None), registry)


def _vessel_grounds(sailing: Sailing | None, registry: Registry) -> list[Ground]:
    """A vessel's event concerns every line aboard, whatever its scope."""
    if sailing is None:
        return []
    aboard = f"4: aboard {sailing.sailing_id}, an event of the vessel"
    return [Ground(registry.party_id(line.scac), ROLE_ABOARD[line.role], aboard, ALWAYS) for line in sailing.lines]


def _aboard(sailing: Sailing, key: AudienceKey, issuer: str, registry: Registry) -> list[Ground]:
    """Each line aboard: its own bills always, other lines' by the scope of its agreement, the operator's like any."""
    name = registry.party_id
    own = {name(issuer), name(key.carrier or ""), *map(registry.snp_party_id, key.snps)}
    grounds = []
    for line in sailing.lines:
        party, role = name(line.scac), ROLE_ABOARD[line.role]
        aboard = f"4: {line.role}, aboard {sailing.sailing_id}"
        if party in own:
            grounds.append(Ground(party, role, f"{aboard}, for its own bill", ALWAYS))
        elif line.scope != "own":
            grounds.append(Ground(party, role, f"{aboard}, granted {line.scope}", line.scope))
        else:
            grounds.append(Ground(party, None, f"{aboard}, granted only its own bills", "never"))
    return grounds


_WIDEST: Final = {ALWAYS: 0, "holds": 1, "do-not-load": 2}


def _recipient(party_id: str, grounds: list[Ground], voyage: str | None, registry: Registry) -> Recipient:
    roles = {ground.role for ground in grounds if ground.role}
    scope = min((ground.scope for ground in grounds), key=_WIDEST.__getitem__)
    party = registry.parties.get(party_id)
    unreachable = None
    if party is None:
        unreachable = "PARTY_UNKNOWN"
    elif party.status == "external":
        unreachable = "EXTERNAL"
    elif party.status != "live":
        unreachable = "PARTY_NOT_LIVE"
    elif party.topic in registry.missing_topics:
        unreachable = "NO_TOPIC"
    topic = party.topic if party is not None and unreachable is None else None
    ordered = tuple(role for role in ROLES if role in roles)
    disclosure = min(DISCLOSURE_OF_ROLE[role] for role in ordered)
    return Recipient(party_id, ordered, disclosure, scope, voyage, topic, unreachable)
