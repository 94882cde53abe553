-- The one row that says whose history this is and how far it has come.
create table broker (
    id        bigint primary key check (id = 1),
    epoch     uuid    not null,
    token_key bytea    not null,
    revision  bigint not null,
    ingest    bigint not null
);

-- A random id for each revision, kept for ever: it tells this history from any other.
create table lineage (
    revision bigint primary key,
    id       uuid    not null
);

-- What each revision touched, for the followers. Kept for a week.
create table changes (
    revision   bigint primary key,
    touched    jsonb    not null,
    created_at timestamptz    not null
);

-- What operators have settled for the whole broker: no row, or this one.
create table settings (
    id              bigint primary key check (id = 1),
    retention       jsonb  not null,
    limits          jsonb  not null,
    edited_revision bigint not null
);

create table generators (
    id         uuid primary key,
    name       text not null,
    scope      jsonb not null,
    quota      jsonb not null,
    stored_bytes     bigint  not null default 0,
    minute           bigint  not null default 0,
    minute_publishes bigint  not null default 0,
    created_at timestamptz not null,
    edited_revision  bigint not null,
    deleted_at timestamptz
);
create unique index generators_name on generators (name) where deleted_at is null;

create table agents (
    id               uuid    primary key,
    name             text    not null,
    labels           jsonb    not null,
    annotations      jsonb    not null,
    facts            jsonb,
    created_at       timestamptz    not null,
    changed_revision bigint not null,
    last_seen        timestamptz,
    interval_seconds bigint not null default 0,
    edited_revision  bigint not null,
    deleted_at       timestamptz
);
create unique index agents_name on agents (name) where deleted_at is null;

-- The labels and annotations of agents, to find those that a rule may match. A value too long for an
-- index is null here: its agent is found by the key.
create table agent_traits (
    agent_id uuid not null references agents (id),
    kind     text not null check (kind in ('label', 'annotation')),
    key      text not null,
    value    text,
    primary key (agent_id, kind, key)
);
create index agent_traits_value on agent_traits (kind, key, value);

-- A rotation leaves two rows: the new one `unused` until its first use is recorded, which ends the predecessor,
-- at `predecessor_until` if there is an overlap; the old one `replaced` if it ends whatever happens.
create table keys (
    id                uuid primary key,
    role              text not null check (role in ('admin', 'agent', 'generator')),
    owner_id          uuid,
    name              text not null,
    hash              bytea not null,
    created_at        timestamptz not null,
    expires_at        timestamptz,
    expires_in        bigint,
    stage             text not null check (stage in ('standing', 'unused', 'replaced')),
    stage_until       timestamptz,
    predecessor_id    uuid references keys (id),
    predecessor_until timestamptz,
    last_used_at      timestamptz,
    revoked_at        timestamptz
);
create index keys_owner on keys (owner_id);
create index keys_predecessor on keys (predecessor_id);

-- owner_id is the generator's id, or all zeros for the operators' own stacks.
create table stacks (
    id               uuid    primary key,
    owner_id         uuid    not null,
    name             text    not null,
    options          jsonb    not null,
    labels           jsonb    not null,
    annotations      jsonb    not null,
    targeting        jsonb    not null,
    head_id          uuid,
    head_sequence    bigint not null default 0,
    changed_revision bigint not null,
    created_at       timestamptz    not null,
    edited_revision  bigint not null,
    deleted_at       timestamptz
);
create unique index stacks_name on stacks (owner_id, name) where deleted_at is null;

-- What an agent must have for a rule of a stack to match it, to find the stacks that may concern an agent.
-- One of a rule's rows is enough. A null kind is a rule that any agent may match; a null value, any value.
create table rule_anchors (
    stack_id uuid not null references stacks (id),
    kind     text,
    key      text,
    value    text
);
create index rule_anchors_stack on rule_anchors (stack_id);
create index rule_anchors_value on rule_anchors (kind, key, value);

-- Manifests (zstd) and the keys of their objects, once per owner and digest: sharing them
-- between owners would let one learn what another publishes.
create table contents (
    owner_id uuid    not null,
    digest   bytea    not null,
    body     bytea    not null,
    objects  jsonb    not null,
    primary key (owner_id, digest)
);

create table deployment_objects (
    id                uuid    primary key,
    stack_id          uuid    not null references stacks (id),
    owner_id          uuid    not null,
    sequence          bigint not null,
    digest            bytea    not null,
    size              bigint not null,
    object_count      bigint not null,
    default_namespace text,
    allow_delete      jsonb    not null,
    author            text    not null,
    message           text,
    created_at        timestamptz    not null,
    unique (stack_id, sequence),
    foreign key (owner_id, digest) references contents (owner_id, digest)
);
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% rows never change and never go', tg_table_name;
end $$;
create trigger deployment_objects_are_immutable before update or delete on deployment_objects
for each row execute function refuse_change();
create trigger contents_are_immutable before update on contents
for each row execute function refuse_change();

create table agent_targets (
    id               uuid    primary key,
    agent_id         uuid    not null references agents (id),
    stack_id         uuid    not null references stacks (id),
    direct           boolean not null,
    rule             text,
    ineligible       boolean not null,
    state            text    not null check (state in ('active', 'removing', 'confirmed', 'withdrawn')),
    created_at       timestamptz    not null,
    policy           text,
    allow_delete     jsonb    not null,
    removal_revision bigint,
    ended_at         timestamptz,
    closed_at        timestamptz
);
create unique index agent_targets_open on agent_targets (agent_id, stack_id) where state in ('active', 'removing');
create index agent_targets_stack on agent_targets (stack_id) where state in ('active', 'removing');

-- Facts once held for an agent and a rule of a stack, by the SHA-256 of the rule's text: facts admit, and
-- never remove.
create table held_facts (
    stack_id uuid not null references stacks (id),
    agent_id uuid not null references agents (id),
    rule     bytea not null,
    primary key (stack_id, agent_id, rule)
);
create index held_facts_agent on held_facts (agent_id);

create table target_status (
    agent_id    uuid not null references agents (id),
    stack_id    uuid not null references stacks (id),
    seen        bigint,
    applied     bigint,
    sync        text not null,
    health      text not null,
    reason      text,
    reported_at timestamptz not null,
    primary key (agent_id, stack_id)
);

-- heard_at is when the broker heard something new of it last, which is what its age is told by.
create table agent_events (
    agent_id             uuid    not null references agents (id),
    id                   uuid    not null,
    stack_id             uuid    not null,
    deployment_object_id uuid,
    sequence             bigint,
    action               text    not null,
    outcome              text    not null,
    reason               text,
    objects              jsonb    not null,
    count                bigint not null,
    first_at             timestamptz    not null,
    last_at              timestamptz    not null,
    recorded_at          timestamptz    not null,
    heard_at             timestamptz    not null,
    ingest               bigint not null,
    primary key (agent_id, id)
);
create index agent_events_stack on agent_events (stack_id, ingest);
create index agent_events_feed on agent_events (ingest);

-- What was made under an `Idempotency-Key`, so that a repetition makes nothing. Kept for a day.
create table idempotency (
    caller_id  uuid not null,
    key        text not null,
    asked      bytea not null,
    made_id    uuid not null,
    created_at timestamptz not null,
    primary key (caller_id, key)
);
create index idempotency_age on idempotency (created_at);

-- Who changed what. An entry is kept as the very bytes that are hashed; each hash covers the one before.
create table audit (
    revision   bigint primary key,
    action     text not null,
    actor_id   uuid,
    subject_id uuid not null,
    entry      text not null,
    hash       bytea not null
);
create index audit_actor on audit (actor_id, revision);
create index audit_subject on audit (subject_id, revision);
create trigger audit_is_append_only before update or delete on audit
for each row execute function refuse_change();
