"""What access is declared, and how what is found differs from it. No broker needed."""

from __future__ import annotations

import pytest

from router.model.registry_values import Party
from router.provision.access_drift import Plan, compare, of_party, undeclared_topics
from router.provision.access_rights import Entity, Found, ProvisionSettings, Right, declare, party_rights

SETTINGS = ProvisionSettings()
PARTIES = (
    Party("NVX"),
    Party("NVXA", status="certifying"),
    Party("OLDX", status="suspended"),
    Party("EXTX", status="external"),
)
DECLARED = declare(PARTIES, SETTINGS)
AS_DECLARED = Found(DECLARED.users | {"admin"}, DECLARED.rights, DECLARED.quotas)


def plan_of(found: Found, undeclared: tuple[str, ...] = (), settings: ProvisionSettings = SETTINGS) -> Plan:
    return compare(DECLARED, found, settings, "admin", undeclared)


def found_with(*rights: Right, users: frozenset[str] = frozenset(), quotas: object = None) -> Found:
    return Found(AS_DECLARED.users | users, AS_DECLARED.rights | set(rights), {**AS_DECLARED.quotas, **(quotas or {})})  # type: ignore[dict-item]


class TestDeclared:
    def test_a_party_has_its_own_topic_groups_requests_and_the_feed_status_and_nothing_else(self) -> None:
        assert {str(right) for right in party_rights(Party("NVX"))} == {
            "User:snp.NVX: Allow Read on topic snp.party.NVX",
            "User:snp.NVX: Allow Describe on topic snp.party.NVX",
            "User:snp.NVX: Allow Read on group snp.NVX.*",
            "User:snp.NVX: Allow Read on topic snp.feed-status",
            "User:snp.NVX: Allow Write on topic snp.request.NVX",
        }

    def test_no_right_of_a_party_begins_what_another_s_is_named(self) -> None:
        """`snp.party.NVX*` would open that of NVXA. Only groups are granted by a prefix, and theirs ends in a dot."""
        prefixed = [right for right in DECLARED.rights if right.prefixed and right.principal == "User:snp.NVX"]
        assert [(right.resource, right.name) for right in prefixed] == [("group", "snp.NVX.")]

    def test_only_parties_that_certify_or_are_live_have_access(self) -> None:
        services = {"snp-router", "snp-feed", "snp-webhooks", "snp-operator"}
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


class TestPlan:
    def test_as_declared_there_is_nothing_to_do(self) -> None:
        assert plan_of(AS_DECLARED) == Plan()
        assert not Plan().mendable

    def test_all_of_it_is_made_where_nothing_is(self) -> None:
        plan = plan_of(Found(frozenset({"admin"}), frozenset(), {}))
        assert set(plan.users_missing) == DECLARED.users
        assert set(plan.rights_missing) == DECLARED.rights
        assert len(plan.quotas) == 2

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
    def test_a_right_that_nobody_declared_is_withdrawn_from_ours_and_where_only_ours_is(self, right: Right) -> None:
        assert plan_of(found_with(right)) == Plan(rights_surplus=(right,))

    @pytest.mark.parametrize(
        "right",
        [
            Right("User:stranger", "Read", "topic", "*"),
            Right("User:stranger", "Read", "topic", "s", prefixed=True),
            Right("User:stranger", "All", "cluster", "kafka-cluster"),
            Right("User:snp.NVX", "Read", "topic", "snp.party.NVX", permission="Deny"),
        ],
    )
    def test_what_reaches_further_or_refuses_is_for_people(self, right: Right) -> None:
        plan = plan_of(found_with(right))
        assert not plan.mendable
        assert str(right) in plan.by_hand[0]

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
    def test_what_does_not_concern_us_is_not_shown(self, right: Right) -> None:
        assert plan_of(found_with(right)) == Plan()

    def test_a_party_s_user_that_nobody_declared_goes_and_others_are_for_people(self) -> None:
        plan = plan_of(found_with(users=frozenset({"snp.OLDX", "monitoring"})))
        assert plan.users_surplus == ("snp.OLDX",)
        assert "user monitoring" in plan.by_hand[0]
        named = ProvisionSettings(other_users=("monitoring",))
        assert plan_of(found_with(users=frozenset({"monitoring"})), settings=named) == Plan()

    def test_limits_are_set_back_and_those_that_nobody_declared_taken_away(self) -> None:
        own, gone = Entity.of_user("snp.NVX"), Entity((("client-id", "x"), ("user", "snp.NVXA")))
        limits = {**SETTINGS.party_quota(), "consumer_byte_rate": 1.0, "controller_mutation_rate": 2.0}
        plan = plan_of(found_with(quotas={own: limits, gone: {"producer_byte_rate": 5.0}}))
        assert dict(plan.quotas) == {
            own: {"consumer_byte_rate": 2_000_000.0, "controller_mutation_rate": None},
            gone: {"producer_byte_rate": None},
        }

    @pytest.mark.parametrize("parts", [(("user", ""),), (("client-id", ""), ("user", ""))])
    def test_a_limit_for_everyone_is_said_since_it_slows_the_router(self, parts: tuple[tuple[str, str], ...]) -> None:
        plan = plan_of(found_with(quotas={Entity(parts): {"consumer_byte_rate": 1.0}}))
        assert not plan.mendable
        assert "slows the router" in plan.by_hand[0]

    def test_a_topic_without_a_party_is_shown_and_never_deleted(self) -> None:
        topics = ["snp.party.NVX", "snp.request.EXTX", "snp.party.NOWX", "payroll"]
        assert undeclared_topics(topics, PARTIES) == ["snp.party.NOWX"]
        plan = plan_of(AS_DECLARED, undeclared=("snp.party.NOWX",))
        assert not plan.mendable
        assert "never deleted" in plan.by_hand[0]


def test_cutting_a_party_off_takes_all_it_has_and_nothing_of_another() -> None:
    more = Right("User:snp.NVX", "Read", "topic", "payroll")
    plan = of_party(found_with(more), Party("NVX"))
    assert plan.users_surplus == ("snp.NVX",)
    assert set(plan.rights_surplus) == {more, *party_rights(Party("NVX"))}
    assert [entity.user for entity, _ in plan.quotas] == ["snp.NVX"]


@pytest.mark.parametrize(
    "given", [{"router_user": "snp.ROUTER"}, {"feed_users": ("snp-router",)}, {"operator_users": ("",)}]
)
def test_our_own_users_can_not_be_taken_for_parties_or_for_each_other(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"named twice|the parties'"):
        ProvisionSettings.model_validate(given)
