-- The histories that this one continues, because an operator says so.
create table accepted_epochs (
    epoch       blob    primary key,
    accepted_at text    not null,
    revision    integer not null
);
