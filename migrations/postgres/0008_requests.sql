-- What the agent that opened the last session understands.
alter table agents add column features jsonb not null default '[]';

-- What agents are asked beside their work, until it expires. task and answer are JSON, content is manifests (all zstd);
-- task and content go when the answer comes. owner_id is whose request it is: the generator's id, or all zeros for the operators.
create table requests (
    id          uuid        primary key,
    agent_id    uuid        not null references agents (id),
    owner_id    uuid        not null,
    stack_id    uuid,
    kind        text        not null,
    task        bytea,
    content     bytea,
    answer      bytea,
    asked_at    timestamptz not null,
    expires_at  timestamptz not null,
    answered_at timestamptz
);
create index requests_agent on requests (agent_id);
create index requests_owner on requests (owner_id);
create index requests_age on requests (expires_at);
