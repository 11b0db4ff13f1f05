-- The queue becomes ours: a row for each task that runs. docs/decisions/0015 says why.

-- The step of a task that is due, or is being done. The row is there from acceptance to the task's end.
create table due_step (
    task_id    uuid primary key,
    project_id text not null,
    host       text not null,            -- where it must be done
    worker     uuid                      -- who does it; nobody yet where it waits
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
-- The oldest task of each project that waits.
create index due_step_waiting on due_step (host, project_id, task_id) where worker is null;

create table worker (
    id      uuid primary key,
    host    text not null,
    seen_at timestamptz not null
);

insert into due_step (task_id, project_id, host)
select task.id, task.project_id, step.host
from task
cross join lateral (
    select host from step
    where task_id = task.id
      and case when task.unwinding then status in ('Running', 'Completed', 'Failed', 'Undoing')
               else status in ('Planned', 'Running') end
    order by case when task.unwinding then -position else position end
    limit 1
) as step
where task.status = 'Running';

-- What the former queue had in the store. One that was made anew has nothing of it.
do $$
declare
    dropping text;
begin
    drop table if exists procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs, procrastinate_workers cascade;
    for dropping in
        select format('drop routine if exists %s cascade', oid::regprocedure) from pg_proc
        where starts_with(proname, 'procrastinate_') and pronamespace = current_schema()::regnamespace
    loop
        execute dropping;
    end loop;
    for dropping in
        select format('drop type if exists %s cascade', oid::regtype) from pg_type
        where starts_with(typname, 'procrastinate_') and typrelid = 0 and typcategory <> 'A'
          and typnamespace = current_schema()::regnamespace
    loop
        execute dropping;
    end loop;
end
$$;
