-- Base backups. A manual one may outlive its instance, so all that a restore asks of the instance is kept with it.
create table backup (
    id               text primary key,
    project_id       text not null references project,
    instance_id      text not null,
    instance_name    text not null,
    host             text not null references host,
    name             text not null,
    description      text not null default '',
    type             text not null,                -- auto, manual
    status           text not null default 'BUILDING',   -- then COMPLETED, FAILED; DELETING until its files are gone
    engine           text not null,
    version          text not null,
    complete_version text not null,
    volume_size      integer not null,             -- GB, of the instance
    size_kb          bigint not null default 0,
    begin_time       timestamptz not null default now(),
    end_time         timestamptz,                  -- from this moment on the data can be restored
    log_position     text not null default '',
    -- whether the log archive goes on from here without a gap
    continuous       boolean not null default false
);
create unique index backup_name on backup (project_id, name) where type = 'manual' and status <> 'DELETING';
create index backup_of_instance on backup (instance_id, begin_time desc, id);
create index backup_to_remove on backup (host) where status = 'DELETING';
