-- An entry of the audit may go once a later one says that it is forgotten: the newest that says so is where what is kept
-- begins.
create index audit_forgets on audit (revision) where action = 'audit_forget';
drop trigger audit_never_shrinks;
create trigger audit_never_shrinks before delete on audit
when old.revision > coalesce((select json_extract(entry, '$.after.revision') from audit
                              where action = 'audit_forget' order by revision desc limit 1), 0)
begin select raise(abort, 'an audit entry that is kept never goes'); end;

-- To find the keys that ended long ago.
create index keys_ended on keys (revoked_at) where revoked_at is not null;
