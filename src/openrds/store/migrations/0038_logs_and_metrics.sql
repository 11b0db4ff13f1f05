-- Whether the values in slow statements are shown.
alter table instance add column slow_log_with_values boolean not null default false;

-- How its volumes grow by themselves; null where they do not.
alter table instance add column growth jsonb;

-- What is measured of each node, a row a minute, for seven days. Of a node that is gone it goes too.
create table node_sample (
    node_id text not null references node (id) on delete cascade,
    instance_id text not null,
    at timestamptz not null,
    cpu_seconds double precision,
    memory_bytes bigint,
    volume_bytes bigint not null,
    volume_used_bytes bigint,
    connections_active integer,
    connections_idle integer,
    connections_idle_in_transaction integer,
    transactions bigint,
    cache_hits bigint,
    cache_reads bigint,
    lag_bytes bigint,
    lag_seconds double precision,
    backup_age_seconds double precision,
    primary key (node_id, at)
);
create index node_sample_at on node_sample using brin (at) with (pages_per_range = 16);
