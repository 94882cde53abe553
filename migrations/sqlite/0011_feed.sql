-- What agents reported lately, for those who watch: by the number of the group that recorded it, a list of what changed.
-- Only the newest groups are kept.
create table feed (
    ingest integer primary key,
    told   text    not null
);
