-- The histories that this one continues, because an operator says so.
create table accepted_epochs (
    epoch       uuid        primary key,
    accepted_at timestamptz not null,
    revision    bigint      not null
);
