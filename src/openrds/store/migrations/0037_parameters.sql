-- Parameters of servers: which there are, groups of values, and which instances have what.

-- What the servers of a version say of theirs, once somebody has wanted to know: see CatalogueWatch. The edition is that
-- of openrds' own list of what is offered.
create table parameter_catalogue (
    engine           text not null,
    version          text not null,
    complete_version text not null,
    edition          integer not null,
    parameters       jsonb,                        -- null while it is being found out
    problem          text,                         -- why it could not be
    primary key (engine, complete_version, edition)
);
create trigger tell_of_catalogue after insert or update on parameter_catalogue
    for each row when (new.parameters is null and new.problem is null) execute function tell_of_change('catalogue');

-- The default groups are in no table: there is one for each version that a host has, and nothing is set in it.
create table configuration (
    id          text primary key,
    project_id  text not null references project,
    name        text not null,
    description text not null default '',
    engine      text not null,
    version     text not null,
    parameters  jsonb not null default '{}',       -- values by name
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now()
);
create unique index configuration_name on configuration (project_id, name);

-- Values by name: those that are set, and those of them that its servers have; others wait for a restart.
alter table instance add column parameters jsonb not null default '{}';
alter table instance add column parameters_in_force jsonb not null default '{}';
alter table backup add column parameters jsonb not null default '{}';
create index instance_of_configuration on instance (configuration_id) where configuration_id <> '';

create table parameter_change (
    id          bigint generated always as identity primary key,
    instance_id text not null references instance on delete cascade,
    name        text not null,
    old_value   text,                              -- null where none was set, or is any more
    new_value   text,
    succeeded   boolean not null,
    changed_at  timestamptz not null default now()
);
create index change_of_instance on parameter_change (instance_id, id);

-- That a group was applied to an instance, which may be gone since.
create table configuration_application (
    id               bigint generated always as identity primary key,
    project_id       text not null,
    configuration_id text not null,
    instance_id      text not null,
    instance_name    text not null,
    succeeded        boolean not null,
    applied_at       timestamptz not null default now()
);
create index application_of_configuration on configuration_application (project_id, configuration_id, id);
