-- As which service account, written namespace/name, agents act for a generator's stacks; null if by their own rights.
alter table generators add column service_account text;
