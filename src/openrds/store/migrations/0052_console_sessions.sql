-- Sessions of the web console: docs/decisions/0052. Of an id only its hash is kept, so that nobody who reads the store
-- has a session.
create table console_session (
    id_hash    bytea primary key,               -- SHA-256
    access_key text not null,                   -- of the account; it may be gone
    mark       bytea not null,                  -- of the account's secrets: changing them ends the session
    created_at timestamptz not null default now(),
    seen_at    timestamptz not null default now()
);
create index console_session_of_account on console_session (access_key, created_at);
create index console_session_age on console_session (created_at);
