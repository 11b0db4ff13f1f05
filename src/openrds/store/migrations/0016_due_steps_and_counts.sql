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

-- --- how many tasks an instance has ---

-- Of those that are served, kept with each change: an instance runs one task at a time, so nobody waits for its rows.
create table task_count_of_instance (
    instance_id text not null,
    name        text not null,
    status      text not null,
    project_id  text not null,
    tasks       bigint not null,
    primary key (instance_id, name, status)
) with (fillfactor = 80);

create or replace function note_task_count() returns trigger language plpgsql as $$
begin
    -- The floor stands still until this transaction is over.
    perform pg_advisory_xact_lock_shared(hashtext('task floor'));
    with changed (project_id, instance_id, id, name, status, change) as (
        select changed.* from (
            select old.project_id, old.instance_id, old.id, old.name, old.status, -1
            where tg_op <> 'INSERT' and not old.hidden
            union all
            select new.project_id, new.instance_id, new.id, new.name, new.status, 1
            where tg_op <> 'DELETE' and not new.hidden
        ) as changed (project_id, instance_id, id, name, status, change)
        where changed.id >= (select id from task_floor)
    ), of_instance as (
        insert into task_count_of_instance as counted
        select instance_id, name, status, project_id, change from changed
        on conflict (instance_id, name, status) do update set tasks = counted.tasks + excluded.tasks
    )
    insert into task_count_change select project_id, id, name, status, change from changed;
    return null;
end
$$;

alter function raise_task_floor(uuid) rename to raise_floor_of_blocks;
create function raise_task_floor(oldest uuid) returns void language plpgsql as $$
declare
    instances text[];
begin
    perform pg_advisory_xact_lock(hashtext('task floor')), pg_advisory_xact_lock(hashtext('task counts'));
    with passed as (
        select instance_id, name, status, count(*) as tasks from task
        where not hidden and id >= (select id from task_floor) and id < oldest
        group by instance_id, name, status
    ), lowered as (
        update task_count_of_instance as counted set tasks = counted.tasks - passed.tasks from passed
        where (counted.instance_id, counted.name, counted.status) = (passed.instance_id, passed.name, passed.status)
        returning counted.instance_id
    )
    select array_agg(distinct instance_id) into instances from lowered;
    delete from task_count_of_instance where tasks = 0 and instance_id = any (instances);
    perform raise_floor_of_blocks(oldest);
end
$$;

create function tasks_of_instances()
    returns table (instance_id text, name text, status text, project_id text, tasks bigint) language sql stable as $$
    select instance_id, name, status, project_id, count(*) from task
    where not hidden and id >= (select id from task_floor)
    group by instance_id, name, status, project_id
$$;

alter function recount_tasks() rename to recount_blocks;
create function recount_tasks() returns void language plpgsql as $$
begin
    perform recount_blocks();  -- and nobody can change a task until this transaction is over
    truncate task_count_of_instance;
    insert into task_count_of_instance select * from tasks_of_instances();
    analyze task_count_of_instance;
end
$$;

-- What is wrong of an instance has the level -1, and its project has as many rows of that as there are such instances.
alter function wrong_task_counts() rename to wrong_counts_of_blocks;
create function wrong_task_counts()
    returns table (project_id text, name text, status text, level smallint, number bigint, counted bigint, actual bigint)
    language sql stable as $$
    select * from wrong_counts_of_blocks()
    union all
    select coalesce(counted.project_id, actual.project_id), name, status, -1::smallint, 0,
           coalesce(counted.tasks, 0), coalesce(actual.tasks, 0)
    from task_count_of_instance as counted full join tasks_of_instances() as actual using (instance_id, name, status)
    where coalesce(counted.tasks, 0) <> coalesce(actual.tasks, 0)
$$;

alter function task_page rename to task_page_by_looking;
create function task_page(project text, wanted_id uuid, wanted_order text, wanted_instance text, wanted_name text,
                          wanted_status text, first uuid, beyond uuid, skip bigint, wanted integer,
                          out total_count bigint, out actions text[], out ids uuid[])
    language plpgsql stable set plan_cache_mode = force_generic_plan as $$
declare
    floor uuid := (select id from task_floor);
begin
    if wanted_instance is null or wanted_id is not null or wanted_order is not null
       or first > floor or beyond is not null then
        select page.total_count, page.actions, page.ids into total_count, actions, ids
        from task_page_by_looking(project, wanted_id, wanted_order, wanted_instance, wanted_name, wanted_status,
                                  first, beyond, skip, wanted) as page;
        return;
    end if;
    -- All tasks of an instance are counted.
    select coalesce(sum(tasks), 0), coalesce(array_agg(distinct name order by name) filter (where tasks > 0), '{}')
    into total_count, actions
    from task_count_of_instance
    where instance_id = wanted_instance and project_id = project
      and (wanted_name is null or name = wanted_name) and (wanted_status is null or status = wanted_status);
    ids := '{}';
    if skip < total_count then
        ids := array(
            select id from task
            where instance_id = wanted_instance and project_id = project and not hidden and id >= floor
              and (wanted_name is null or name = wanted_name) and (wanted_status is null or status = wanted_status)
            order by id desc offset skip limit least(wanted, total_count - skip));
    end if;
end
$$;

insert into task_count_of_instance select * from tasks_of_instances();
