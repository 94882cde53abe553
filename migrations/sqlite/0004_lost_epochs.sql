-- The histories that the present one took the place of, because an agent proved that this database does not have all
-- of them.
create table lost_epochs (
    epoch    blob        primary key,
    lost_at  text        not null,
    revision integer     not null,
    agent_id blob        not null,
    told     integer     not null
);
