-- When agents may bring something new. A window covers one agent, or those that its scope reaches.
create table windows (
    id              uuid    primary key,
    name            text    not null,
    agent_id        uuid    references agents (id),
    scope           jsonb,
    rule            text    not null check (rule in ('allow', 'deny')),
    cron            text    not null,
    minutes         bigint  not null,
    zone            text    not null,
    created_at      timestamptz not null,
    edited_revision bigint  not null,
    deleted_at      timestamptz,
    check ((agent_id is null) <> (scope is null))
);
create unique index windows_name on windows (name) where deleted_at is null;
