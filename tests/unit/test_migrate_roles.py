"""Which roles are made on the target, with what, and what people are told."""

from __future__ import annotations

from dataclasses import replace

from naru.migrate.reserved import ReservedRole
from naru.migrate.roles import Gift, Membership, Role, RoleFacts, Setting, plan_roles


def facts(
    *roles: Role,
    memberships: tuple[Membership, ...] = (),
    settings: tuple[Setting, ...] = (),
    secrets: dict[str, str] | None = None,
) -> RoleFacts:
    return RoleFacts({role.name: role for role in roles}, memberships, settings, secrets)


APP = Role("app", login=True)


def test_a_missing_role_is_made_with_its_secret() -> None:
    plan = plan_roles(facts(APP, secrets={"app": "SCRAM-SHA-256$x"}), facts())
    assert plan.create == (APP,)
    assert plan.secrets == {"app": "SCRAM-SHA-256$x"}
    assert plan.need_password == ()


def test_a_secret_is_never_shown() -> None:
    source = facts(APP, secrets={"app": "SCRAM-SHA-256$x"})
    assert "SCRAM" not in repr(source) + repr(plan_roles(source, facts()))


def test_without_pg_authid_only_roles_that_log_in_need_a_password() -> None:
    plan = plan_roles(facts(APP, Role("group")), facts())
    assert plan.need_password == ("app",)


def test_an_existing_role_stays_as_it_is_and_differences_are_told() -> None:
    plan = plan_roles(
        facts(Role("app", login=True, create_db=True), secrets={"app": "s"}), facts(Role("app"))
    )
    assert (plan.create, plan.secrets, plan.kept) == ((), {}, ("app",))
    assert "CREATEDB (source yes, target no)" in plan.notices[0]
    assert "LOGIN (source yes, target no)" in plan.notices[0]


def test_superuser_is_never_given() -> None:
    plan = plan_roles(facts(Role("boss", superuser=True, bypass_rls=True)), facts())
    assert plan.create == (Role("boss", bypass_rls=True),)
    assert "superuser" in plan.notices[0]


def test_attributes_that_are_not_ours_to_give_are_left_out_and_told() -> None:
    plan = plan_roles(facts(Role("r", replication=True)), facts(), may_give=Gift(replication=False))
    assert plan.create == (Role("r"),)
    assert "REPLICATION" in plan.notices[0]


def test_a_role_that_is_to_be_left_out_brings_nothing() -> None:
    source = facts(APP, memberships=(Membership("pg_monitor", "app", False),))
    plan = plan_roles(source, facts(Role("pg_monitor")), without=["app"])
    assert (plan.create, plan.grant) == ((), ())


def test_roles_with_a_name_of_ours_are_told_unless_the_target_has_them() -> None:
    there, missing = ReservedRole("naru_there", named=True), ReservedRole("naru_app", named=False)
    source = replace(facts(APP), reserved=(there, missing))
    plan = plan_roles(source, facts(Role("naru_there")))
    assert (plan.create, plan.left_out) == ((APP,), (missing,))


def test_memberships_come_once_and_only_in_groups_that_will_exist() -> None:
    source = facts(
        APP, Role("group"),
        memberships=(
            Membership("group", "app", True), Membership("pg_new", "app", False),
            Membership("group", "stranger", False),
        ),
    )  # fmt: skip
    plan = plan_roles(source, facts())
    assert plan.grant == (Membership("group", "app", True),)
    there = facts(APP, Role("group"), memberships=(Membership("group", "app", False),))
    assert plan_roles(source, there).grant == ()


def test_settings_of_an_existing_role_come_only_for_this_database() -> None:
    everywhere = Setting("app", False, "work_mem", "1MB")
    here = Setting("app", True, "work_mem", "2MB")
    source = facts(APP, settings=(everywhere, here))
    assert plan_roles(source, facts()).set == (everywhere, here)
    assert plan_roles(source, facts(APP)).set == (here,)
    assert plan_roles(source, facts(APP, settings=(here,))).set == ()
