-- Whether an agent is paused; whether all are, and which revision last changed that.
alter table agents add column paused integer not null default 0;
alter table settings add column paused integer not null default 0;
alter table settings add column paused_revision integer not null default 0;
