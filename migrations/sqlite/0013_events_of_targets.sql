-- An event is only written of an agent target that is there, which refers to its agent: to look for the agent again would
-- cost as much as the rest of the row. SQLite drops a reference only with its table.
create table events_of_targets (
    agent_id             blob    not null,
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
insert into events_of_targets select agent_id, id, stack_id, deployment_object_id, sequence, action, outcome, reason, objects,
    count, first_at, last_at, recorded_at, heard_at, ingest from agent_events;
drop table agent_events;
alter table events_of_targets rename to agent_events;
create index agent_events_stack on agent_events (stack_id, ingest);
create index agent_events_feed on agent_events (ingest);
