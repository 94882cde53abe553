-- What agents reported lately, for those who watch: by the number of the group that recorded it, a list of what changed.
-- Only the newest groups are kept.
create table feed (
    ingest bigint primary key,
    told   jsonb  not null
);
