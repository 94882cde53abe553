-- An event is only written of an agent target that is there, which refers to its agent: to look for the agent again would
-- cost as much as the rest of the row.
alter table agent_events drop constraint agent_events_agent_id_fkey;
