-- name: insert_task
insert into task (id, project_id, operation, name, instance_id, instance_name, order_id, parameters, entities,
                  created_at, changed_at)
values (%(id)s, %(project_id)s, %(operation)s, %(name)s, %(instance_id)s, %(instance_name)s, %(order_id)s,
        %(parameters)s, %(entities)s, %(now)s, %(now)s)

-- name: insert_steps
insert into step (task_id, position, name, node_id, host, expected)
select %(task_id)s, position - 1, name, node_id, host,
       make_interval(secs => coalesce(duration.seconds, first_guess))
from unnest(%(names)s::text[], %(node_ids)s::text[], %(hosts)s::text[], %(first_guesses)s::float8[])
     with ordinality as planned (name, node_id, host, first_guess, position)
left join step_duration as duration on duration.operation = %(operation)s and duration.step = name

-- name: take_lock
insert into instance_lock (instance_id, task_id) values (%(instance_id)s, %(task_id)s)
on conflict do nothing
returning task_id

-- name: lock_holder
select task.id, task.name from instance_lock join task on task.id = task_id where instance_lock.instance_id = %s

-- name: release_locks
delete from instance_lock where task_id = %s

-- name: begin_attempt
update task set epoch = epoch + 1, changed_at = now()
where id = %s and status = 'Running'
returning *

-- name: steps
select * from step where task_id = %s order by position

-- name: start_step
with started as (
    update step set status = %(status)s, attempts = attempts + 1, started_at = coalesce(started_at, now())
    where task_id = %(task_id)s and position = %(position)s
    returning started_at, expected
), total as (
    select extract(epoch from sum(expected)) as seconds from step where task_id = %(task_id)s
)
update task set step_started_at = started.started_at,
                step_expected = started.expected,
                step_share = case when task.unwinding then 0
                             else 100 * extract(epoch from started.expected) / greatest(total.seconds, 0.001) end
from started, total
where task.id = %(task_id)s

-- name: lock_task
select id, cancelled_by from task where id = %(task_id)s and epoch = %(epoch)s and status = 'Running' for update

-- name: record_step
update step set status = %(status)s, output = coalesce(%(output)s, output), error = %(error)s, ended_at = clock_timestamp()
where task_id = %(task_id)s and position = %(position)s

-- name: record_progress
update task set progress = least(99, progress + step_share), step_share = 0, changed_at = now() where id = %(task_id)s

-- name: record_attempt_error
update step set error = %(error)s
from task
where step.task_id = %(task_id)s and position = %(position)s and task.id = step.task_id and task.epoch = %(epoch)s

-- name: begin_unwinding
update task set unwinding = true, fail_reason = %(fail_reason)s, step_share = 0, changed_at = now(),
                -- what was shown stays shown: progress never goes back
                progress = least(99, progress + step_share * least(0.95, extract(epoch from now() - step_started_at)
                                     / greatest(extract(epoch from step_expected), 0.001)))
where id = %(task_id)s

-- name: finish_task
with ended as (
    delete from step where task_id = %(task_id)s returning *
)
update task set status = %(status)s, entities = entities || %(entities)s, ended_at = clock_timestamp(), changed_at = now(),
                fail_reason = case when %(status)s = 'Failed' then fail_reason else '' end,
                parameters = case when %(keeps_parameters)s then parameters else '{}' end,
                steps = (select jsonb_agg(jsonb_build_object(
                             'name', name, 'status', status, 'node_id', node_id, 'host', host, 'attempts', attempts,
                             'error', error, 'started_at', started_at, 'ended_at', ended_at) order by position)
                         from ended)
where id = %(task_id)s

-- name: task_to_cancel
select id, operation, name, status, unwinding, cancelled_by from task
where id = %(id)s and project_id = %(project_id)s and not hidden and id >= (select id from task_floor)
for update

-- name: set_cancelled
with cancelled as (
    update task set cancelled_by = %(by)s where id = %(id)s returning id
)
select pg_notify('openrds_cancelled', id::text) from cancelled

-- name: append_fail_reason
update task set fail_reason = fail_reason || %(text)s where id = %(task_id)s

-- name: record_duration
insert into step_duration (operation, step, seconds)
select task.operation, step.name, extract(epoch from clock_timestamp() - step.started_at)
from step join task on task.id = step.task_id
where step.task_id = %(task_id)s and step.position = %(position)s and step.attempts = 1
on conflict (operation, step) do update set seconds = 0.8 * step_duration.seconds + 0.2 * excluded.seconds

-- name: any_runs
select exists (select from task where status = 'Running') as running

-- name: add_count_changes
select add_task_count_changes(%s) as added

-- name: wrong_counts
select * from wrong_task_counts() order by 1, 2, 3, 4, 5

-- name: recount
select recount_tasks()

-- name: tasks_from_floor
-- The id so many tasks above the floor, but not above the bound: how far the floor may go in one step.
select id from task
where id >= (select id from task_floor) and id < %(oldest)s
order by id offset %(tasks)s limit 1

-- name: raise_floor
select raise_task_floor(%s)

-- name: create_partitions
select create_task_partitions(now(), now() + %(ahead)s::interval)

-- name: passed_partitions
-- The partitions all of whose tasks are below the floor: their upper bounds are in the names.
select relid::regclass::text as name
from pg_partition_tree('task')
where isleaf
  and first_task_id(to_date(right(relid::regclass::text, 8), 'YYYYMMDD')::timestamp at time zone 'UTC' + interval '7 days')
      <= (select id from task_floor)
order by 1

-- name: detached_partitions
select relname as name from pg_class
where relkind = 'r' and not relispartition and relname ~ '^task_[0-9]{8}$'
  and relnamespace = (select relnamespace from pg_class where oid = 'task'::regclass)
order by 1

-- name: get_task
select id, project_id, name, instance_id, instance_name, status, entities, fail_reason, created_at, ended_at,
       progress, step_share, step_expected, step_started_at, clock_timestamp() as now
from task
where id = %(id)s and project_id = %(project_id)s and not hidden and id >= (select id from task_floor)

-- name: restored_by_task
select name, status, parameters from task
where id = %(id)s and project_id = %(project_id)s and instance_id = %(instance_id)s
  and operation in ('restore_tables', 'restore_databases') and not hidden and id >= (select id from task_floor)

-- name: get_tasks
select task.id, task.project_id, name, instance_id, instance_name, status, entities, fail_reason, created_at, ended_at,
       progress, step_share, step_expected, step_started_at, clock_timestamp() as now
from unnest(%(ids)s::uuid[], %(project_ids)s::text[]) as asked (id, project_id)
join task on task.id = asked.id and task.project_id = asked.project_id
where not hidden and task.id >= (select id from task_floor)

-- name: hide_task
with gone as (
    update task set hidden = true
    where id = %(id)s and project_id = %(project_id)s and not hidden and id >= (select id from task_floor)
    returning id
)
select pg_notify('openrds_task_hidden', '') from gone

-- name: listen_for_hidden
listen openrds_task_hidden

-- name: hold_memory
select pg_advisory_lock_shared(hashtext('tasks in memory'), last_value::integer) from task_deletion

-- name: release_memory
select pg_advisory_unlock_all()

-- name: number_deletion
select nextval('task_deletion') as number, pg_notify('openrds_task_hidden', '')

-- name: memory_holders
select from pg_locks
where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
  and classid::bigint = hashtext('tasks in memory')::bigint & 4294967295 and objid::bigint < %s

-- name: get_steps
with wanted as (
    select id, steps from task
    where id = %(id)s and project_id = %(project_id)s and not hidden and id >= (select id from task_floor)
)
select name, status, coalesce(node_id, '') as node_id, host, attempts, error, started_at, ended_at from (
    select step.name, step.status, node_id, step.host, attempts, error, started_at, ended_at, position
    from wanted join step on step.task_id = wanted.id
    union all
    select name, status, node_id, host, attempts, error, started_at, ended_at, position
    from wanted, rows from (jsonb_to_recordset(wanted.steps) as (
        name text, status text, node_id text, host text, attempts integer, error text, started_at timestamptz,
        ended_at timestamptz
    )) with ordinality as step (name, status, node_id, host, attempts, error, started_at, ended_at, position)
) as step order by position

-- name: list_tasks
select case when coalesce(position, 1) = 1 then total_count end as total_count,
       case when coalesce(position, 1) = 1 then actions end as actions,
       task.id, task.name, task.instance_id, task.instance_name, task.order_id, task.status, task.fail_reason,
       task.created_at, task.ended_at, task.progress, task.step_share, task.step_expected, task.step_started_at,
       coalesce(instance.status, '') as instance_status, clock_timestamp() as now
from task_page(%(project_id)s, %(id)s, %(order_id)s, %(instance_id)s, %(name)s, %(status)s, %(first)s, %(beyond)s,
               %(offset)s, %(limit)s) as page
left join lateral unnest(ids) with ordinality as listed (id, position) on true
left join task on task.id = listed.id
left join instance on instance.id = task.instance_id
order by position

-- name: export_tasks
select id, name, instance_id, instance_name, order_id, status, entities, fail_reason, created_at, ended_at,
       (%(instance_id)s::text is null or instance_id = %(instance_id)s)
       and (%(name)s::text is null or name = %(name)s)
       and (%(status)s::text is null or status = %(status)s) as matches
from task
where project_id = %(project_id)s and not hidden
  and id >= (select id from task_floor) and id >= %(first)s and id < %(beyond)s
order by id desc limit %(limit)s

-- name: count_by_name
select name, status, sum(tasks)::bigint as tasks from (
    select name, status, tasks from task_count where level = 3 and name <> '' and status <> ''
    union all
    select name, status, change from task_count_change
) as counted group by name, status having sum(tasks) > 0

-- name: step_durations
select operation, step, seconds from step_duration
