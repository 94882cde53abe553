-- When agents may bring something new. A window covers one agent, or those that its scope reaches.
create table windows (
    id              blob    primary key,
    name            text    not null,
    agent_id        blob    references agents (id),
    scope           text,
    rule            text    not null check (rule in ('allow', 'deny')),
    cron            text    not null,
    minutes         integer not null,
    zone            text    not null,
    created_at      text    not null,
    edited_revision integer not null,
    deleted_at      text,
    check ((agent_id is null) <> (scope is null))
);
create unique index windows_name on windows (name) where deleted_at is null;
