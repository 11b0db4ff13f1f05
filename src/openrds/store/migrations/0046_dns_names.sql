-- Private DNS names of instances: their labels. The zone behind them is a setting.

-- Whose a name is. One without an instance was left, at `left_at`, and is its project's for a while.
create table dns_name (
    label       text primary key,
    project_id  text not null,
    instance_id text references instance on delete cascade,
    left_at     timestamptz
);
create index dns_name_of_instance on dns_name (instance_id);
create index dns_name_left on dns_name (project_id, left_at) where left_at is not null;

-- The name by which an instance is found now.
alter table instance add column dns_label text;
create unique index instance_by_dns_label on instance (dns_label) where dns_label is not null;
