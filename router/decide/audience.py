"""The audience of a bill: its recipients with their roles and grounds, and parties considered and refused.

The rules are numbered as in docs/how-it-works.md: 1 the filer; 2 each second notify party; 3 the line whose master bill
it is under, and the manifest carrier; 4 the lines aboard, by role and by the scope their agreement grants; 5 the
NVOCCs with other bills in a stopped box, which only get the role here, since they are notified of their own bill.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Final, NamedTuple, get_args

from router.decide.cargo_facts import Cargo
from router.decide.registry import Registry
from router.decide.roster import VoyageIdentifiers, voyage_of
from router.model.identifiers import bill_key, is_vessel_key, split_bill_key
from router.model.inputs import Filing
from router.model.party_ids import named_party
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
    STOP = 3
    """The stop alone, to a line that may not be aboard: bill, containers, vessel, code, do-not-load, since when."""


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
    assumed: bool = False
    """True if it rests on an assumed sailing, which discloses the stop alone."""


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
    assumed: bool = False
    """True if all its grounds rest on an assumed sailing."""


class Audience(NamedTuple):
    recipients: dict[str, Recipient]
    """By id."""
    sailing: Sailing | None
    """Positively found, now or before."""
    found: Sailing | None
    """The same if the bill's present identifiers find it."""
    assumed: Sailing | None
    """Sailing whose operator gets stops, since the present identifiers find none positively."""
    vessel_is_ambiguous: bool
    """True if two IMO numbers have the vessel's name, and the message has none."""
    waiting: tuple[Recipient, ...]
    """Recipients without a topic, except external ones."""


class AudienceKey(NamedTuple):
    """Everything of a bill that decides on its audience. Audiences are cached by it; a new rule adds its inputs
    here."""

    issuer: str | None
    """None for a vessel on its voyage."""
    snps: tuple[str, ...]
    master_carrier: str | None
    voyage: VoyageIdentifiers
    today: str | None
    """Eastern day, if the voyage has no arrival date."""
    kept: str | None
    """Id of the sailing positively found before."""
    is_house: bool
    """True for an NVOCC's bill, as far as is known (`Cargo.needs_snp`)."""
    in_stopped_box: bool


def audience_key(
    bill: str, cargo: Cargo, in_stopped_box: bool, kept: str | None = None, today: str | None = None
) -> AudienceKey:
    shipment = cargo.shipment
    issuer = None if is_vessel_key(bill) else split_bill_key(bill)[0]
    voyage = voyage_of(shipment)
    return AudienceKey(
        issuer,
        cargo.snps,
        split_bill_key(shipment.master_bill)[0] if shipment.master_bill else None,
        voyage,
        today,
        kept,
        issuer is not None and cargo.needs_snp(issuer),
        in_stopped_box,
    )


def audience_of(bill: str, cargo: Cargo, in_stopped_box: bool, registry: Registry, kept: str | None = None) -> Audience:
    """Everyone who may be notified of the bill at some status. Cached by `audience_key` until the registry changes.

    `kept` is the id of the sailing positively found before.
    """
    today = None if cargo.shipment.arrival_date else registry.today
    key = audience_key(bill, cargo, in_stopped_box, kept, today)
    audience = registry.audiences.get(key)
    if audience is None:
        audience = _audience(key, registry)
        registry.keep_audience(key, audience, len(audience.recipients) + 1, MOST_KEPT_RECIPIENTS)
    return audience


def _audience(key: AudienceKey, registry: Registry) -> Audience:
    finding = registry.roster.find(key.voyage, key.today)
    sailing = finding.found or (registry.roster.sailing(key.kept) if key.kept else None)
    assumed = finding.assumed if finding.assumed != sailing else None
    merged: dict[str, list[Ground]] = {}
    for ground in grounds_of(key, sailing, registry, assumed):
        if ground.scope != "never":
            merged.setdefault(ground.party, []).append(ground)
    voyages: dict[str, str | None] = {}
    for line in (line for one in (sailing, assumed) if one is not None for line in one.lines):
        voyages.setdefault(registry.party_id(line.scac), line.voyage_number)
    recipients = {party: _recipient(party, grounds, voyages.get(party), registry) for party, grounds in merged.items()}
    waiting = tuple(one for one in recipients.values() if one.topic is None and one.unreachable != "EXTERNAL")
    return Audience(recipients, sailing, finding.found, assumed, finding.vessel_is_ambiguous, waiting)


def grounds_of(
    key: AudienceKey, sailing: Sailing | None, registry: Registry, assumed: Sailing | None = None
) -> list[Ground]:
    """Every ground to notify a party or to refuse it, in the order of the rules. `explain` shows them."""
    if key.issuer is None:
        return [*_vessel_grounds(sailing, registry), *_assumed(assumed, registry)]
    name = registry.party_id
    grounds = [Ground(name(key.issuer), FILER, "1: issuer of the bill", ALWAYS)]
    grounds += [_snp_ground(snp, registry) for snp in key.snps]
    if key.master_carrier:
        grounds.append(Ground(name(key.master_carrier), MASTER_CARRIER, "3: issued the master bill", ALWAYS))
    if key.voyage.carrier_scac:
        grounds.append(Ground(name(key.voyage.carrier_scac), MASTER_CARRIER, "3: the bill is on its manifest", ALWAYS))
    if sailing is not None:
        grounds.extend(_aboard(sailing, key, key.issuer, registry))
    grounds.extend(_assumed(assumed, registry))
    if key.in_stopped_box and _is_nvocc(name(key.issuer), key, registry):
        grounds.append(Ground(name(key.issuer), CO_LOADER, "5: its bill is in a stopped container", ALWAYS))
    return grounds


def _snp_ground(snp: str, registry: Registry) -> Ground:
    party_id = registry.snp_party_id(snp)
    types = named_party(snp).types
    is_ambiguous = len(types) > 1 and party_id not in registry.parties
    kind = f", by {' or '.join(types)}" if is_ambiguous else ""
    return Ground(party_id, SNP, f"2: second notify party on the bill{kind}", ALWAYS)


def _is_nvocc(filer: str, key: AudienceKey, registry: Registry) -> bool:
    """True for the filer of a house bill, or a party registered as one; never for a line with vessels or slots."""
    carriers = {registry.party_id(scac) for scac in (key.voyage.carrier_scac, key.master_carrier) if scac}
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
    own = {name(issuer), name(key.voyage.carrier_scac or ""), *map(registry.snp_party_id, key.snps)}
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


def _assumed(sailing: Sailing | None, registry: Registry) -> Iterator[Ground]:
    """The operator of an assumed sailing, while a stop stands that its agreement grants; no other line."""
    if sailing is None:
        return
    for line in sailing.lines:
        party, aboard = registry.party_id(line.scac), f"4: {line.role}, perhaps aboard {sailing.sailing_id}"
        if line.role != "operator":
            yield Ground(party, None, f"{aboard}: only the operator of an assumed sailing is notified", "never")
        elif line.scope == "own":
            yield Ground(party, None, f"{aboard}, granted only its own bills", "never")
        else:
            scope = "holds" if line.scope == ALWAYS else line.scope
            yield Ground(party, OPERATOR, f"{aboard}, granted {line.scope}; stops only", scope, assumed=True)


_WIDEST: Final = {ALWAYS: 0, "holds": 1, "do-not-load": 2}


def _recipient(party_id: str, grounds: list[Ground], voyage: str | None, registry: Registry) -> Recipient:
    roles = {ground.role for ground in grounds if ground.role}
    scope = min((ground.scope for ground in grounds), key=_WIDEST.__getitem__)
    topic, unreachable = _destination(party_id, registry)
    ordered = tuple(role for role in ROLES if role in roles)
    disclosure = min(
        Disclosure.STOP if ground.assumed else DISCLOSURE_OF_ROLE[ground.role] for ground in grounds if ground.role
    )
    assumed = all(ground.assumed for ground in grounds)
    return Recipient(party_id, ordered, disclosure, scope, voyage, topic, unreachable, assumed)


def retained_recipient(party_id: str, roles: tuple[Role, ...], registry: Registry, *, assumed: bool) -> Recipient:
    """A party without a ground any more that was notified of a stop, until it is notified of its end."""
    return Recipient(party_id, roles, Disclosure.STOP, "holds", None, *_destination(party_id, registry), assumed)


def _destination(party_id: str, registry: Registry) -> tuple[str | None, str | None]:
    """The party's topic, or the reason why there is none (`Recipient.unreachable`)."""
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
    return (party.topic if party is not None and unreachable is None else None), unreachable
