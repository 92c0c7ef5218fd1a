"""The database roles behind the scopes, as SQL for the first migration."""

from __future__ import annotations

from django.conf import settings


def create_scope_roles() -> str:
    """SQL that makes the tenant and the system role when absent and lets the migrating role become either.

    The migrating role needs CREATEROLE, unless a database administrator made both roles beforehand and granted them
    to it; otherwise the migration stops with a sentence that says so. Roles belong to the whole server, so several
    databases may run this at once: losing such a race is not an error.
    """
    roles = "".join(create_role(role) for role in (settings.TENANT_DB_ROLE, settings.SYSTEM_DB_ROLE))
    grants = "".join(_grants(role) for role in (settings.TENANT_DB_ROLE, settings.SYSTEM_DB_ROLE))
    return f"{roles} {grants}"


def create_role(role: str, *, inherited: bool = True) -> str:
    """SQL that makes a role when absent and lets the migrating role become it.

    With `inherited` false the migrating role must not have its privileges without becoming it. Before PostgreSQL 16
    that is a property of the member, so there the migrating role inherits from nobody any more.
    """
    options = "" if inherited else "WITH INHERIT FALSE, SET TRUE"
    return f"""
        DO $role$
        DECLARE
            is_16 boolean := current_setting('server_version_num')::int >= 160000;
            options text := CASE WHEN is_16 THEN '{options}' ELSE '' END;
        BEGIN
        FOR attempt IN 1..20 LOOP
            BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
                    CREATE ROLE "{role}" NOLOGIN;
                END IF;
                BEGIN
                    PERFORM set_config('role', '{role}', true);
                    PERFORM set_config('role', 'none', true);
                EXCEPTION WHEN insufficient_privilege THEN
                    EXECUTE format('GRANT "{role}" TO %I ', session_user) || options;
                    IF {"false" if inherited else "NOT is_16"} THEN
                        -- The owner of a database owns its schema by inheritance: keep that before it ends.
                        EXECUTE format('GRANT USAGE, CREATE ON SCHEMA public TO %I WITH GRANT OPTION', session_user);
                        EXECUTE format('ALTER ROLE %I NOINHERIT', session_user);
                    END IF;
                END;
                EXIT;
            EXCEPTION
                WHEN duplicate_object OR unique_violation OR internal_error THEN
                    PERFORM pg_sleep(0.05 * attempt);
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'The database user % can neither create nor become the role {role}.', session_user
                        USING HINT = 'Run as an administrator: CREATE ROLE "{role}" NOLOGIN; GRANT "{role}" TO '
                            || quote_ident(session_user) || ';';
            END;
        END LOOP;
        END $role$;
    """


def _grants(role: str) -> str:
    """What either role may touch: every table, present and future; which rows, the policies say."""
    return f"""
        GRANT USAGE ON SCHEMA public TO "{role}";
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "{role}";
        GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO "{role}";
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "{role}";
        ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO "{role}";
    """
