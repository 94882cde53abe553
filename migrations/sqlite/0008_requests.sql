-- What the agent that opened the last session understands.
alter table agents add column features text not null default '[]';

-- What agents are asked beside their work, until it expires. task and answer are JSON, content is manifests (all zstd);
-- task and content go when the answer comes. owner_id is whose request it is: the generator's id, or all zeros for the operators.
create table requests (
    id          blob        primary key,
    agent_id    blob        not null references agents (id),
    owner_id    blob        not null,
    stack_id    blob,
    kind        text        not null,
    task        blob,
    content     blob,
    answer      blob,
    asked_at    text        not null,
    expires_at  text        not null,
    answered_at text
);
create index requests_agent on requests (agent_id);
create index requests_owner on requests (owner_id);
create index requests_age on requests (expires_at);
