-- At which interval the nodes of an instance are measured besides each minute, in seconds; null where they are not.
alter table instance add column monitor_interval smallint;

-- What is measured of them at that interval, for an hour.
create table node_close_sample (
    like node_sample including indexes,
    foreign key (node_id) references node (id) on delete cascade
);

-- When what waits was last changed, and whether it waits for a window of its own and not for its instance's.
alter table scheduled_task add column updated_at timestamptz not null default now(),
                           add column reserved boolean not null default false;
update scheduled_task set updated_at = created_at;

-- Whether its owner had it made read-only, and until when it is not although its volume is full.
alter table instance add column read_only boolean not null default false,
                     add column writable_until timestamptz;
