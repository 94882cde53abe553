-- What becomes of the workloads of an agent that is to finish and go; null if it is to stay.
alter table agents add column retiring text check (retiring in ('remove', 'keep'));
