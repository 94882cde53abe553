-- The histories that the present one took the place of, because an agent proved that this database does not have all
-- of them.
create table lost_epochs (
    epoch    uuid        primary key,
    lost_at  timestamptz not null,
    revision bigint      not null,
    agent_id uuid        not null,
    told     bigint      not null
);
