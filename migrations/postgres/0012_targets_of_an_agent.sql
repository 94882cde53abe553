-- Whether a stack was ever an agent's, which is asked for every event: also of targets that are closed.
create index agent_targets_pair on agent_targets (agent_id, stack_id);
-- Not only for the two open states together: a publish counts those that are active.
drop index agent_targets_stack;
create index agent_targets_stack on agent_targets (stack_id, state);
