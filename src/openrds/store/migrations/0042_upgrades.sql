-- What became of major upgrades of instances, and of looking what hinders one. The id is that of the task.
create table version_report (
    id          uuid primary key,
    instance_id text not null references instance on delete cascade,
    kind        text not null check (kind in ('check', 'upgrade')),
    old_version text not null,
    new_version text not null,
    statistics  text not null default '',
    result      text not null default 'running',   -- or success, failed
    detail      text not null default '',
    begun_at    timestamptz not null default now(),
    ended_at    timestamptz
);
create index version_report_of_instance on version_report (instance_id, kind, begun_at);
