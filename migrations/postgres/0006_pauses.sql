-- Whether an agent is paused; whether all are, and which revision last changed that.
alter table agents add column paused boolean not null default false;
alter table settings add column paused boolean not null default false;
alter table settings add column paused_revision bigint not null default 0;
