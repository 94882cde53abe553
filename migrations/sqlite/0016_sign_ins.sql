-- Who signed in to the console, with which key, and until when. What the cookie holds is hashed as keys are. A version that does not
-- know of them forgets keys all the same.
create table sign_ins (
    id         blob primary key,
    key_id     blob not null references keys (id) on delete cascade,
    hash       blob not null,
    created_at text not null,
    expires_at text not null
);
create index sign_ins_key on sign_ins (key_id);
create index sign_ins_age on sign_ins (expires_at);
