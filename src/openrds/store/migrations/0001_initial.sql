create table project (
    id          text primary key,
    name        text not null unique,
    domain_id   text not null,
    domain_name text not null
);

create table account (
    access_key    text primary key,
    secret_key    text not null,   -- in clear: signatures are verified with it
    user_id       text not null unique,
    user_name     text not null unique,
    password_hash text not null,
    project_id    text not null references project
);

-- A machine that runs instances, and the server binaries it has.
create table host (
    name              text primary key,
    availability_zone text not null,
    installations     jsonb not null default '[]',
    seen_at           timestamptz not null default now()
);

create table instance (
    id                    text primary key,
    project_id            text not null references project,
    name                  text not null,
    alias                 text not null default '',
    engine                text not null,
    version               text not null,
    complete_version      text not null,
    type                  text not null,
    status                text not null,
    deleting              boolean not null default false,
    flavor_ref            text not null,
    volume_type           text not null,
    volume_size           integer not null,     -- GB
    port                  integer not null,
    availability_zone     text not null,
    vpc_id                text not null,
    subnet_id             text not null,
    security_group_id     text not null,
    replication_mode      text,
    switch_strategy       text not null default '',
    configuration_id      text not null default '',
    enterprise_project_id text not null default '0',
    disk_encryption_id    text not null default '',
    time_zone             text not null default 'UTC',
    backup_start_time     text not null,
    backup_keep_days      integer not null,
    backup_period         text not null default '1,2,3,4,5,6,7',
    maintenance_window    text not null default '02:00-06:00',
    tags                  jsonb not null default '[]',
    created_at            timestamptz not null default now(),
    updated_at            timestamptz not null default now()
);
create index instance_of_project on instance (project_id, created_at desc, id);

create table node (
    id                text primary key,
    instance_id       text not null references instance on delete cascade,
    name              text not null,
    role              text not null,
    host              text not null references host,
    availability_zone text not null,
    address           inet,
    -- restarts by the monitor in a row, and when the last was: a server that keeps dying is given up
    revivals          integer not null default 0,
    revived_at        timestamptz
);
create index node_of_instance on node (instance_id);
create index node_of_host on node (host);

-- An address of a host's pools that is in use.
create table address (
    host    text not null references host,
    address inet not null,
    node_id text not null references node on delete cascade,
    primary key (host, address)
);
create index address_of_node on address (node_id);

create table task (
    id            uuid primary key,      -- UUIDv7: time order is id order
    project_id    text not null,
    operation     text not null,
    name          text not null,
    instance_id   text not null,
    instance_name text not null,
    order_id      text not null default '',
    status        text not null default 'Running',
    unwinding     boolean not null default false,
    hidden        boolean not null default false,   -- its record was deleted by the caller
    epoch         integer not null default 0,       -- a step attempt of an older epoch may record nothing
    parameters    jsonb not null,
    entities      jsonb not null default '{}',
    fail_reason   text not null default '',
    created_at    timestamptz not null,
    changed_at    timestamptz not null,
    ended_at      timestamptz,
    -- progress: percent done, percent the current step is worth, how long it usually takes, when it began
    progress      real not null default 0,
    step_share    real not null default 0,
    step_expected interval not null default '0',
    step_started_at timestamptz
);
create index task_of_project on task (project_id, id desc) where not hidden;
create index task_of_instance on task (instance_id, id desc);
create index task_of_order on task (order_id) where order_id <> '';
create index task_running on task (id) where status = 'Running';

create table step (
    task_id    uuid not null references task on delete cascade,
    position   integer not null,
    name       text not null,
    host       text not null,
    status     text not null default 'Planned',
    attempts   integer not null default 0,
    expected   interval not null,
    output     jsonb not null default '{}',
    error      text not null default '',
    started_at timestamptz,
    ended_at   timestamptz,
    primary key (task_id, position)
);

-- Whoever holds the row may change the instance.
create table instance_lock (
    instance_id text primary key,
    task_id     uuid not null
);

-- How long a step took on this installation, as a moving average: what progress is weighted by.
create table step_duration (
    operation text not null,
    step      text not null,
    seconds   double precision not null,
    primary key (operation, step)
);

-- The answers of mutating calls, by signature or client token: a repeated call does nothing and gets the first answer.
create table answer (
    key          text primary key,
    request_hash bytea not null,
    status       integer,
    body         bytea,
    expires_at   timestamptz not null
);
create index answer_expiry on answer (expires_at);
