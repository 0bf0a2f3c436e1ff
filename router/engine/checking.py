"""What is wrong with parties and sailings as registered: it stops nothing, but somebody would not be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from router.decide.ledger.identifiers import imo_ok
from router.decide.recipients.registry import Registry
from router.model.registry import Party, Sailing


def registry_problems(registry: Registry) -> list[str]:
    """What is registered, checked together. Each says what is wrong, where, and what follows from it."""
    return [
        *registry.damaged.values(),
        *claims(registry.parties.values(), ()),
        *(problem for party in registry.parties.values() for problem in _party_problems(party, registry)),
        *(problem for sailing in registry.sailings.values() for problem in _sailing_problems(sailing, registry)),
    ]


def claims(parties: Iterable[Party], registered: Iterable[Party]) -> list[str]:
    """SCACs that stand for two parties: notices of one would go to the other. A party that is external has given its
    own up, so that another may take it over."""
    owners = {code: party.scac for party in registered for code in _scacs(party)}
    new = list(parties)
    replaced = {party.scac for party in new}
    owners = {code: owner for code, owner in owners.items() if owner not in replaced}
    problems = []
    for party in new:
        for code in _scacs(party):
            owner = owners.setdefault(code, party.scac)
            if owner != party.scac:
                problems.append(f"party {party.scac}: {code} already stands for the party {owner}")
    return problems


def refused_claims(wanted: dict[str, Party], registered: dict[str, Party]) -> dict[str, list[str]]:
    """Of the parties to be registered those whose SCACs stand for another, with what is wrong, by SCAC. One that is
    refused claims nothing, but what it was registered with still counts."""
    owners: dict[str, set[str]] = {}
    for party in {**registered, **wanted}.values():
        for code in _scacs(party):
            owners.setdefault(code, set()).add(party.scac)
    refused: dict[str, list[str]] = {}
    for party in wanted.values():
        taken = [(code, min(others)) for code in _scacs(party) if (others := owners[code] - {party.scac})]
        if taken:
            refused[party.scac] = [
                f"party {party.scac}: {code} already stands for the party {one}" for code, one in taken
            ]
            for code in _scacs(party):
                owners[code].discard(party.scac)
            for code in _scacs(registered[party.scac]) if party.scac in registered else ():
                owners.setdefault(code, set()).add(party.scac)
    return refused


def _scacs(party: Party) -> tuple[str, ...]:
    return party.aliases if party.status == "external" else (party.scac, *party.aliases)


def _party_problems(party: Party, registry: Registry) -> Iterator[str]:
    if party.status != "external" and not (party.contact_phone or party.contact_email):
        yield f"party {party.scac}: no 24-hour contact (contact_phone or contact_email): nobody to call about a hold"
    if party.production_group and not party.production_group.startswith(party.group_prefix):
        yield f"party {party.scac}: production_group {party.production_group} does not begin with {party.group_prefix}"
    if party.topic in registry.missing_topics:
        yield f"party {party.scac}: its topic {party.topic} is missing: what it should be told waits"


def _sailing_problems(sailing: Sailing, registry: Registry) -> Iterator[str]:
    where = f"sailing {sailing.sailing_id}"
    for line in sailing.lines:
        if registry.party(line.scac) is None:
            yield f"{where}: {line.scac} is aboard but not a registered party: what it should be told waits"
        if line.voyage_number is None:
            yield f"{where}: {line.scac} has no voyage number: bills on its manifest will not find the sailing"
    if not any(line.role == "operator" for line in sailing.lines):
        yield f"{where}: no operator"
    if not imo_ok(sailing.imo_number):
        yield f"{where}: IMO number {sailing.imo_number} fails its check digit"
    if sailing.arrival_date is None:
        yield f"{where}: no arrival_date: it can't be told from a later voyage of the same number"
