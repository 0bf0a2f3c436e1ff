"""The access declared, and its drift from the access found. Needs no broker."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from router.model.registry_values import Party
from router.provision.access_drift import Drift, all_access_of, compare, undeclared_topics
from router.provision.access_rights import BrokerAccess, Entity, ProvisionSettings, Quota, Right, declare, party_rights

SETTINGS = ProvisionSettings()
PARTIES = (
    Party("NVX"),
    Party("NVXA", status="certifying"),
    Party("OLDX", status="suspended"),
    Party("EXTX", status="external"),
)
DECLARED = declare(PARTIES, SETTINGS)
AS_DECLARED = BrokerAccess(DECLARED.users | {"admin"}, DECLARED.rights, DECLARED.quotas)


def drift_of(found: BrokerAccess, undeclared: tuple[str, ...] = (), settings: ProvisionSettings = SETTINGS) -> Drift:
    return compare(DECLARED, found, settings, "admin", undeclared)


def only_by_hand(drift: Drift) -> bool:
    """True if `apply` changes nothing."""
    return drift == Drift(by_hand=drift.by_hand)


def found_with(
    *rights: Right, users: frozenset[str] = frozenset(), quotas: Mapping[Entity, Quota] | None = None
) -> BrokerAccess:
    declared = AS_DECLARED
    return BrokerAccess(declared.users | users, declared.rights | set(rights), {**declared.quotas, **(quotas or {})})


class TestDeclared:
    def test_a_party_has_its_own_topic_groups_requests_and_the_feed_status_and_nothing_else(self) -> None:
        assert {str(right) for right in party_rights(Party("NVX"))} == {
            "User:snp.NVX: Allow Read on topic snp.party.NVX",
            "User:snp.NVX: Allow Describe on topic snp.party.NVX",
            "User:snp.NVX: Allow Read on group snp.NVX.*",
            "User:snp.NVX: Allow Read on topic snp.feed-status",
            "User:snp.NVX: Allow Write on topic snp.request.NVX",
        }

    def test_no_right_of_a_party_covers_names_of_another(self) -> None:
        """`snp.party.NVX*` would cover that of NVXA. Only groups are granted by a prefix, which ends in a dot."""
        prefixed = [right for right in DECLARED.rights if right.prefixed and right.principal == "User:snp.NVX"]
        assert [(right.resource, right.name) for right in prefixed] == [("group", "snp.NVX.")]

    def test_only_certifying_and_live_parties_have_access(self) -> None:
        services = {"snp-router", "snp-feed", "snp-listener", "snp-webhooks", "snp-operator"}
        assert DECLARED.users == {"snp.NVX", "snp.NVXA"} | services
        assert {entity.user for entity in DECLARED.quotas} == {"snp.NVX", "snp.NVXA"}

    def test_only_the_router_writes_where_parties_read(self) -> None:
        writers = {
            right.principal
            for right in DECLARED.rights
            if right.operation in ("Write", "All") and right.resource == "topic"
            and ("snp.party.NVX".startswith(right.name) if right.prefixed else right.name == "snp.party.NVX")
        }  # fmt: skip
        assert writers == {"User:snp-router"}


class TestDrift:
    def test_access_as_declared_is_no_drift(self) -> None:
        assert drift_of(AS_DECLARED) == Drift()

    def test_all_of_it_is_missing_where_nothing_is(self) -> None:
        drift = drift_of(BrokerAccess(frozenset({"admin"}), frozenset(), {}))
        assert set(drift.users_missing) == DECLARED.users
        assert set(drift.rights_missing) == DECLARED.rights
        assert len(drift.quotas) == 2

    @pytest.mark.parametrize(
        "right",
        [
            Right("User:snp.NVX", "Read", "topic", "snp.party.NVXA"),
            Right("User:snp.NVX", "Write", "topic", "payroll"),
            Right("User:snp.OLDX", "Read", "topic", "snp.party.OLDX"),
            Right("User:snp-feed", "Read", "topic", "snp.party.", prefixed=True),
            Right("User:snp-webhooks", "Write", "topic", "snp.party.NVX"),
            Right("User:stranger", "Read", "topic", "snp.bills"),
            Right("User:stranger", "Read", "group", "snp.NVX.", prefixed=True),
            Right("User:stranger", "Write", "transactional id", "snp-router-0"),
            Right("User:*", "Read", "topic", "cbp.urgent"),
        ],
    )
    def test_an_undeclared_right_of_our_users_or_on_our_names_only_is_surplus(self, right: Right) -> None:
        assert drift_of(found_with(right)) == Drift(rights_surplus=(right,))

    @pytest.mark.parametrize(
        "right",
        [
            Right("User:stranger", "Read", "topic", "*"),
            Right("User:stranger", "Read", "topic", "s", prefixed=True),
            Right("User:stranger", "All", "cluster", "kafka-cluster"),
            Right("User:snp.NVX", "Read", "topic", "snp.party.NVX", permission="Deny"),
        ],
    )
    def test_wider_rights_and_denials_are_left_to_people(self, right: Right) -> None:
        drift = drift_of(found_with(right))
        assert only_by_hand(drift)
        (advice,) = drift.by_hand
        assert advice.startswith(f"{right}: ")
        denial = "a denial that somebody made on purpose; remove it by hand once its reason is gone"
        undeclared = "an undeclared right that covers our names; remove it, or name the user in provision.other_users"
        assert advice.endswith(undeclared if right.permission == "Allow" else denial)

    @pytest.mark.parametrize(
        "right",
        [
            Right("User:stranger", "Read", "topic", "payroll"),
            Right("User:stranger", "Read", "topic", "pay", prefixed=True),
            Right("User:stranger", "Read", "topic", "s"),
            Right("User:stranger", "Describe", "cluster", "kafka-cluster"),
            Right("User:admin", "Read", "topic", "*"),
        ],
    )
    def test_rights_that_do_not_cover_our_names_are_not_reported(self, right: Right) -> None:
        assert drift_of(found_with(right)) == Drift()

    def test_an_undeclared_user_of_a_party_is_surplus_and_others_are_left_to_people(self) -> None:
        drift = drift_of(found_with(users=frozenset({"snp.OLDX", "monitoring"})))
        assert drift.users_surplus == ("snp.OLDX",)
        assert drift.by_hand == ("user monitoring: undeclared; delete it, or name it in provision.other_users",)
        named = ProvisionSettings(other_users=("monitoring",))
        assert drift_of(found_with(users=frozenset({"monitoring"})), settings=named) == Drift()

    def test_limits_are_restored_and_undeclared_ones_removed(self) -> None:
        own, gone = Entity.of_user("snp.NVX"), Entity((("client-id", "x"), ("user", "snp.NVXA")))
        limits = {**SETTINGS.party_quota(), "consumer_byte_rate": 1.0, "controller_mutation_rate": 2.0}
        drift = drift_of(found_with(quotas={own: limits, gone: {"producer_byte_rate": 5.0}}))
        assert dict(drift.quotas) == {
            own: {"consumer_byte_rate": 2_000_000.0, "controller_mutation_rate": None},
            gone: {"producer_byte_rate": None},
        }

    @pytest.mark.parametrize("parts", [(("user", ""),), (("client-id", ""), ("user", ""))])
    def test_a_default_limit_is_reported_since_it_slows_the_router(self, parts: tuple[tuple[str, str], ...]) -> None:
        drift = drift_of(found_with(quotas={Entity(parts): {"consumer_byte_rate": 1.0}}))
        assert only_by_hand(drift)
        assert "slows the router" in drift.by_hand[0]

    def test_a_topic_without_a_party_is_reported_and_never_deleted(self) -> None:
        topics = ["snp.party.NVX", "snp.request.EXTX", "snp.party.NOWX", "payroll"]
        assert undeclared_topics(topics, PARTIES) == ["snp.party.NOWX"]
        drift = drift_of(AS_DECLARED, undeclared=("snp.party.NOWX",))
        assert only_by_hand(drift)
        assert "never deleted" in drift.by_hand[0]


def test_cutting_a_party_off_removes_all_its_access_and_no_other() -> None:
    more = Right("User:snp.NVX", "Read", "topic", "payroll")
    drift = all_access_of(found_with(more), Party("NVX"))
    assert drift.users_surplus == ("snp.NVX",)
    assert set(drift.rights_surplus) == {more, *party_rights(Party("NVX"))}
    assert [entity.user for entity, _ in drift.quotas] == ["snp.NVX"]


@pytest.mark.parametrize(
    "given", [{"router_user": "snp.ROUTER"}, {"feed_users": ("snp-router",)}, {"operator_users": ("",)}]
)
def test_our_own_users_differ_from_parties_and_from_each_other(given: dict[str, object]) -> None:
    with pytest.raises(
        ValueError,
        match=r"named twice; give each duty its own user|give a name that does not begin with snp\.",
    ):
        ProvisionSettings.model_validate(given)
