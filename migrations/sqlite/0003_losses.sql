-- What operators settled of the guard; an empty object is the defaults.
alter table settings add column guard text not null default '{}';

-- The keys of objects whose loss was agreed to, which travel with the head.
alter table deployment_objects add column approved_losses text not null default '[]';

-- Who agreed to a removal; what somebody decided about a loss that the agent held.
alter table agent_targets add column approved text;
alter table agent_targets add column decided text;
create index agent_targets_decided on agent_targets (stack_id) where decided is not null;

-- The sequence of the snapshot whose loss is held, and that loss: as lists show it, and whole.
alter table target_status add column held_snapshot integer;
alter table target_status add column held_shown text;
alter table target_status add column held text;
