-- An entry of the audit may go once a later one says that it is forgotten: the newest that says so is where what is kept
-- begins.
create index audit_forgets on audit (revision) where action = 'audit_forget';
create function keep_audit() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and old.revision <= (
        select (entry::json #>> '{after,revision}')::bigint from audit
        where action = 'audit_forget' order by revision desc limit 1
    ) then
        return old;
    end if;
    raise exception 'an audit entry never changes, and one that is kept never goes';
end $$;
drop trigger audit_is_append_only on audit;
create trigger audit_is_append_only before update or delete on audit
for each row execute function keep_audit();

-- To find the keys that ended long ago.
create index keys_ended on keys (revoked_at) where revoked_at is not null;
