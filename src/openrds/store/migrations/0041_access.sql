-- Who may connect to an instance of PostgreSQL, and how: rows of pg_hba.conf; null is what an instance has by itself.
alter table instance add column access jsonb;

create table access_change (
    id          bigint generated always as identity primary key,
    instance_id text not null references instance on delete cascade,
    before      jsonb not null,
    after       jsonb not null,
    succeeded   boolean not null,
    changed_at  timestamptz not null default now()
);
create index access_change_of_instance on access_change (instance_id, id);
