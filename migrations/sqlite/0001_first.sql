-- The one row that says whose history this is and how far it has come.
create table broker (
    id        integer primary key check (id = 1),
    epoch     blob    not null,
    token_key blob    not null,
    revision  integer not null,
    ingest    integer not null
);

-- A random id for each revision, kept for ever: it tells this history from any other.
create table lineage (
    revision integer primary key,
    id       blob    not null
);

-- What each revision touched, for the followers. Kept for a week.
create table changes (
    revision   integer primary key,
    touched    text    not null,
    created_at text    not null
);

-- What operators have settled for the whole broker: no row, or this one.
create table settings (
    id              integer primary key check (id = 1),
    retention       text    not null,
    limits          text    not null,
    edited_revision integer not null
);

create table generators (
    id         blob primary key,
    name       text not null,
    scope      text not null,
    quota      text not null,
    stored_bytes     integer not null default 0,
    minute           integer not null default 0,
    minute_publishes integer not null default 0,
    created_at text not null,
    edited_revision  integer not null,
    deleted_at text
);
create unique index generators_name on generators (name) where deleted_at is null;

create table agents (
    id               blob    primary key,
    name             text    not null,
    labels           text    not null,
    annotations      text    not null,
    facts            text,
    created_at       text    not null,
    changed_revision integer not null,
    last_seen        text,
    interval_seconds integer not null default 0,
    edited_revision  integer not null,
    deleted_at       text
);
create unique index agents_name on agents (name) where deleted_at is null;

-- The labels and annotations of agents, to find those that a rule may match. A value too long for an
-- index is null here: its agent is found by the key.
create table agent_traits (
    agent_id blob not null references agents (id),
    kind     text not null check (kind in ('label', 'annotation')),
    key      text not null,
    value    text,
    primary key (agent_id, kind, key)
);
create index agent_traits_value on agent_traits (kind, key, value);

-- A rotation leaves two rows: the new one `unused` until its first use is recorded, which ends the predecessor,
-- at `predecessor_until` if there is an overlap; the old one `replaced` if it ends whatever happens.
create table keys (
    id                blob primary key,
    role              text not null check (role in ('admin', 'agent', 'generator')),
    owner_id          blob,
    name              text not null,
    hash              blob not null,
    created_at        text not null,
    expires_at        text,
    expires_in        integer,
    stage             text not null check (stage in ('standing', 'unused', 'replaced')),
    stage_until       text,
    predecessor_id    blob references keys (id),
    predecessor_until text,
    last_used_at      text,
    revoked_at        text
);
create index keys_owner on keys (owner_id);
create index keys_predecessor on keys (predecessor_id);

-- owner_id is the generator's id, or all zeros for the operators' own stacks.
create table stacks (
    id               blob    primary key,
    owner_id         blob    not null,
    name             text    not null,
    options          text    not null,
    labels           text    not null,
    annotations      text    not null,
    targeting        text    not null,
    head_id          blob,
    head_sequence    integer not null default 0,
    changed_revision integer not null,
    created_at       text    not null,
    edited_revision  integer not null,
    deleted_at       text
);
create unique index stacks_name on stacks (owner_id, name) where deleted_at is null;

-- What an agent must have for a rule of a stack to match it, to find the stacks that may concern an agent.
-- One of a rule's rows is enough. A null kind is a rule that any agent may match; a null value, any value.
create table rule_anchors (
    stack_id blob not null references stacks (id),
    kind     text,
    key      text,
    value    text
);
create index rule_anchors_stack on rule_anchors (stack_id);
create index rule_anchors_value on rule_anchors (kind, key, value);

-- Manifests (zstd) and the keys of their objects, once per owner and digest: sharing them
-- between owners would let one learn what another publishes.
create table contents (
    owner_id blob    not null,
    digest   blob    not null,
    body     blob    not null,
    objects  text    not null,
    primary key (owner_id, digest)
);

create table deployment_objects (
    id                blob    primary key,
    stack_id          blob    not null references stacks (id),
    owner_id          blob    not null,
    sequence          integer not null,
    digest            blob    not null,
    size              integer not null,
    object_count      integer not null,
    default_namespace text,
    allow_delete      text    not null,
    author            text    not null,
    message           text,
    created_at        text    not null,
    unique (stack_id, sequence),
    foreign key (owner_id, digest) references contents (owner_id, digest)
);
create trigger deployment_objects_never_change before update on deployment_objects
begin select raise(abort, 'a deployment object never changes'); end;
create trigger deployment_objects_never_go before delete on deployment_objects
begin select raise(abort, 'a deployment object never goes'); end;
create trigger contents_never_change before update on contents
begin select raise(abort, 'a content never changes'); end;

create table agent_targets (
    id               blob    primary key,
    agent_id         blob    not null references agents (id),
    stack_id         blob    not null references stacks (id),
    direct           integer not null,
    rule             text,
    ineligible       integer not null,
    state            text    not null check (state in ('active', 'removing', 'confirmed', 'withdrawn')),
    created_at       text    not null,
    policy           text,
    allow_delete     text    not null,
    removal_revision integer,
    ended_at         text,
    closed_at        text
);
create unique index agent_targets_open on agent_targets (agent_id, stack_id) where state in ('active', 'removing');
create index agent_targets_stack on agent_targets (stack_id) where state in ('active', 'removing');

-- Facts once held for an agent and a rule of a stack, by the SHA-256 of the rule's text: facts admit, and
-- never remove.
create table held_facts (
    stack_id blob not null references stacks (id),
    agent_id blob not null references agents (id),
    rule     blob not null,
    primary key (stack_id, agent_id, rule)
);
create index held_facts_agent on held_facts (agent_id);

create table target_status (
    agent_id    blob not null references agents (id),
    stack_id    blob not null references stacks (id),
    seen        integer,
    applied     integer,
    sync        text not null,
    health      text not null,
    reason      text,
    reported_at text not null,
    primary key (agent_id, stack_id)
);

-- heard_at is when the broker heard something new of it last, which is what its age is told by.
create table agent_events (
    agent_id             blob    not null references agents (id),
    id                   blob    not null,
    stack_id             blob    not null,
    deployment_object_id blob,
    sequence             integer,
    action               text    not null,
    outcome              text    not null,
    reason               text,
    objects              text    not null,
    count                integer not null,
    first_at             text    not null,
    last_at              text    not null,
    recorded_at          text    not null,
    heard_at             text    not null,
    ingest               integer not null,
    primary key (agent_id, id)
);
create index agent_events_stack on agent_events (stack_id, ingest);
create index agent_events_feed on agent_events (ingest);

-- What was made under an `Idempotency-Key`, so that a repetition makes nothing. Kept for a day.
create table idempotency (
    caller_id  blob not null,
    key        text not null,
    asked      blob not null,
    made_id    blob not null,
    created_at text not null,
    primary key (caller_id, key)
);
create index idempotency_age on idempotency (created_at);

-- Who changed what. An entry is kept as the very bytes that are hashed; each hash covers the one before.
create table audit (
    revision   integer primary key,
    action     text not null,
    actor_id   blob,
    subject_id blob not null,
    entry      text not null,
    hash       blob not null
);
create index audit_actor on audit (actor_id, revision);
create index audit_subject on audit (subject_id, revision);
create trigger audit_never_changes before update on audit
begin select raise(abort, 'an audit entry never changes'); end;
create trigger audit_never_shrinks before delete on audit
begin select raise(abort, 'an audit entry never goes'); end;
