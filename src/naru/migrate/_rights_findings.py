"""What our logins may not do, each with the statement that lets them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from naru.migrate._wording import listed
from naru.migrate.facts import SHOWN, Facts, Names
from naru.migrate.findings import Finding, found, lacking
from naru.migrate.names import quoted
from naru.migrate.ownership import Owner
from naru.migrate.subscription import substitute_script

_LOG_NOTHING = "ALTER ROLE {} SET log_statement = 'none'"


def source(facts: Facts) -> Iterator[Finding]:
    login, database, rights = facts.source.login, facts.source.database, facts.rights
    me = quoted(login.user)
    if not login.replication:
        yield lacking(
            "source.replication-privilege",
            login.user,
            "may not replicate",
            f"ALTER ROLE {me} REPLICATION",
        )
    comes_with_owner = any(
        one.what == "owner" and one.remedy.startswith("GRANT") for one in rights.source_fence
    )
    if not login.create_on_database and not comes_with_owner:
        yield lacking(
            "source.create-privilege",
            login.user,
            "may not make a publication",
            f"GRANT CREATE ON DATABASE {quoted(database)} TO {me}",
        )
    for owner in rights.owners:
        if owner.followed and not owner.ours and not owner.superuser:
            yield lacking(
                "source.owner-membership",
                owner.name,
                f"owns {owner.followed} tables, sequences or large objects, such as"
                f" {owner.example}, and {login.user} is no member of it",
                f"GRANT {quoted(owner.name)} TO {me}",
            )
    for lack in rights.source_fence:
        yield lacking("source.fence", login.user, lack.text, lack.remedy)
    yield from _way_back(facts)
    if "source" in rights.logged:
        yield lacking(
            "source.logged-passwords",
            login.user,
            "may not switch log_statement off for itself",
            _LOG_NOTHING.format(me),
        )
    if not login.read_secrets and rights.need_password:
        yield found(
            "source.passwords",
            listed(_names(rights.need_password), most=SHOWN),
            f"will have no password on the target, as {login.user} may not read pg_authid",
            "set one on the target after the start; or before it, on the source: GRANT SELECT ON"
            f" pg_catalog.pg_authid TO {me}",
        )


def _way_back(facts: Facts) -> Iterator[Finding]:
    login = facts.source.login
    if facts.rights.way_back_refused is None:
        return
    if facts.source.major >= 16:
        yield lacking(
            "source.way-back",
            login.user,
            facts.rights.way_back_refused,
            f"GRANT pg_create_subscription TO {quoted(login.user)}",
        )
        return
    finding = found(
        "source.way-back",
        login.user,
        f"{facts.rights.way_back_refused} (before version 16, superusers only)",
        "let an administrator make naru_migration.subscribe: its text is in"
        " docs/reference/privileges.md, and `naru migrate assess --grants` prints it",
    )
    yield replace(finding, grant=substitute_script(login.user).rstrip().removesuffix(";"))


def target(facts: Facts) -> Iterator[Finding]:
    login = facts.target.login
    me = quoted(login.user)
    if not login.create_subscription:
        if facts.target.major >= 16:
            yield lacking(
                "target.subscription-privilege",
                login.user,
                "may not make subscriptions",
                f"GRANT pg_create_subscription TO {me}",
            )
        else:
            yield found(
                "target.subscription-privilege",
                login.user,
                "may not make subscriptions",
                "log in as a superuser",
            )
    if not login.replication:
        yield lacking(
            "target.replication-privilege",
            login.user,
            "may not replicate",
            f"ALTER ROLE {me} REPLICATION",
        )
    if facts.state.missing_roles and not login.create_role:
        yield lacking(
            "target.role-privilege",
            login.user,
            f"{facts.state.missing_roles} roles must be made, and it may not",
            f"ALTER ROLE {me} CREATEROLE",
        )
    if facts.state.exists and not login.create_on_database:
        database = quoted(facts.target.database)
        yield lacking(
            "target.create-privilege",
            login.user,
            "may make nothing in the database",
            f"ALTER DATABASE {database} OWNER TO {me}",
        )
    for lack in facts.rights.target_fence:
        yield lacking("target.fence", login.user, lack.text, lack.remedy)
    for role in facts.rights.left_out:
        code = "target.reserved-owner" if role.named else "target.reserved-role"
        yield found(
            code,
            role.name,
            ("owns something in the database or has rights on it" if role.named else "stays behind")
            + ": names that begin with naru_ are for Naru's own roles",
            f"make it on the target (CREATE ROLE {quoted(role.name)} …), or give it another name"
            f" on the source: ALTER ROLE {quoted(role.name)} RENAME TO …",
        )
    if not login.superuser:
        yield from _for_another_login(facts)


def _for_another_login(facts: Facts) -> Iterator[Finding]:
    login, rights = facts.target.login, facts.rights
    me = quoted(login.user)
    for owner in rights.owners:
        yield from _owner(facts, owner)
    for group, member in rights.memberships:
        yield lacking(
            "target.membership",
            member,
            f"belongs to {group} on the source, which {login.user} may not grant",
            f"GRANT {quoted(group)} TO {quoted(member)}",
        )
    for wrapper in rights.wrappers:
        yield lacking(
            "target.foreign-wrapper",
            wrapper,
            f"may not be used by {login.user}",
            f"GRANT USAGE ON FOREIGN DATA WRAPPER {quoted(wrapper)} TO {me}",
        )
    for extension in facts.extensions:
        if extension.refused and extension.available:
            yield lacking(
                "target.extension-refused",
                extension.name,
                extension.refused,
                f"CREATE EXTENSION {quoted(extension.name)}",
            )
    for code, text, remedy in _SUPERUSERS_ONLY:
        names = facts.objects.get(code, Names())
        if names.total:
            yield found(code, listed(names, most=SHOWN), text, remedy)
    if "target" in rights.logged:
        yield lacking(
            "target.logged-passwords",
            login.user,
            "may not switch log_statement off for itself",
            _LOG_NOTHING.format(me),
        )


def _owner(facts: Facts, owner: Owner) -> Iterator[Finding]:
    login = facts.target.login
    standing = facts.rights.standing.get(owner.name)
    if owner.superuser and (standing is None or standing.superuser):
        yield found(
            "target.superuser-owner",
            owner.name,
            f"owns {owner.objects} objects, such as {owner.example}; they will be {login.user}'s",
            "give them another owner on the source before the start",
        )
    elif standing is not None and not standing.acts and not standing.may_join:
        options = " WITH INHERIT TRUE, SET TRUE" if facts.target.major >= 16 else ""
        yield lacking(
            "target.owner-membership",
            owner.name,
            f"owns {owner.objects} objects on the source, such as {owner.example}",
            f"GRANT {quoted(owner.name)} TO {quoted(login.user)}{options}",
        )


_SUPERUSERS_ONLY = (
    (
        "target.superuser-object",
        "can be made by superusers only",
        "drop it on the source, let an extension bring it, or log in as a superuser",
    ),
    (
        "target.forced-row-security",
        "is written by its owner, whom its policies bind as well",
        "ALTER TABLE … NO FORCE ROW LEVEL SECURITY until the migration is finished, or give its"
        " owner BYPASSRLS",
    ),
    (
        "target.default-privileges",
        "stay behind",
        "let that superuser of the target say ALTER DEFAULT PRIVILEGES again",
    ),
)


def event_triggers(facts: Facts) -> Iterator[Finding]:
    """Event triggers, where they cannot come across."""
    names = facts.objects.get("schema.event-trigger", Names())
    if names.total and not facts.target.login.superuser:
        yield found(
            "target.event-trigger",
            listed(names, most=SHOWN),
            "is left out: only superusers can make it",
            "let a superuser make it after the migration; comparisons tell it as a difference",
        )


def _names(names: tuple[str, ...]) -> Names:
    return Names(len(names), names[:SHOWN])
