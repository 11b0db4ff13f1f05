-- Sessions of tokens that were revoked; a row is kept until the session would have expired by itself.
create table revoked_session (
    session text primary key,
    user_id text not null,
    expires_at timestamptz not null
);
create index revoked_session_expiry on revoked_session (expires_at);
