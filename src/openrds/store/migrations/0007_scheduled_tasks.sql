-- Work that waits for its instance's maintenance window. When it starts it becomes a task.
create table scheduled_task (
    id            uuid primary key,
    project_id    text not null,
    name          text not null,
    instance_id   text not null,
    instance_name text not null,
    engine        text not null,
    volume_type   text not null,
    task_name     text not null,                   -- of the task that it becomes
    request       jsonb not null,                  -- what is submitted then
    target_config jsonb not null default '{}',
    status        text not null default 'Pending', -- `Running` from its start on: the task has the true one
    fail_reason   text not null default '',
    created_at    timestamptz not null default now(),
    starts_at     timestamptz not null,
    ends_at       timestamptz not null,
    task_id       uuid
);
create index scheduled_task_of_project on scheduled_task (project_id, created_at desc);
create index scheduled_task_pending on scheduled_task (starts_at) where status = 'Pending';
