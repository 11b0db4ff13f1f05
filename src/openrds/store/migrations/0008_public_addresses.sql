-- A public address that an instance has, or is being given; its connections are passed on while it is `bound`.
create table public_address (
    address     inet primary key,
    instance_id text not null unique references instance on delete cascade,
    bound       boolean not null default false
);

-- Since when an instance is stopped: not for longer than 7 days.
alter table instance add column stopped_at timestamptz;
