-- name: insert_task
insert into task (id, project_id, operation, name, instance_id, instance_name, order_id, parameters, entities,
                  created_at, changed_at)
values (%(id)s, %(project_id)s, %(operation)s, %(name)s, %(instance_id)s, %(instance_name)s, %(order_id)s,
        %(parameters)s, %(entities)s, %(now)s, %(now)s)

-- name: insert_steps
insert into step (task_id, position, name, host, expected)
select %(task_id)s, position - 1, name, host,
       make_interval(secs => coalesce(duration.seconds, first_guess))
from unnest(%(names)s::text[], %(hosts)s::text[], %(first_guesses)s::float8[])
     with ordinality as planned (name, host, first_guess, position)
left join step_duration as duration on duration.operation = %(operation)s and duration.step = name

-- name: take_lock
insert into instance_lock (instance_id, task_id) values (%(instance_id)s, %(task_id)s)
on conflict do nothing
returning task_id

-- name: lock_holder
select task.id, task.name from instance_lock join task on task.id = task_id where instance_lock.instance_id = %s

-- name: release_lock
delete from instance_lock where instance_id = %(instance_id)s and task_id = %(task_id)s

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
select id from task where id = %(task_id)s and epoch = %(epoch)s and status = 'Running' for update

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
update task set status = %(status)s, entities = entities || %(entities)s, ended_at = clock_timestamp(), changed_at = now(),
                fail_reason = case when %(status)s = 'Failed' then fail_reason else '' end, parameters = '{}'
where id = %(task_id)s

-- name: append_fail_reason
update task set fail_reason = fail_reason || %(text)s where id = %(task_id)s

-- name: record_duration
insert into step_duration (operation, step, seconds)
select task.operation, step.name, extract(epoch from clock_timestamp() - step.started_at)
from step join task on task.id = step.task_id
where step.task_id = %(task_id)s and step.position = %(position)s and step.attempts = 1
on conflict (operation, step) do update set seconds = 0.8 * step_duration.seconds + 0.2 * excluded.seconds

-- name: stranded
select task.id, step.host
from task
cross join lateral (
    select host from step
    where task_id = task.id
      and case when task.unwinding then status in ('Running', 'Completed', 'Failed', 'Undoing')
               else status in ('Planned', 'Running') end
    order by case when task.unwinding then -position else position end
    limit 1
) as step
where task.status = 'Running' and task.changed_at < now() - %(grace)s::interval
  and not exists (select from procrastinate_jobs as job
                  where job.queueing_lock = task.id::text and job.status in ('todo', 'doing'))

-- A step makes its successor due before its own job leaves the queue, so a dead worker may leave several jobs of
-- one task. Only the last of them is due; a second one that waits would break the queueing lock.

-- name: abandon_jobs_of_host
with due as (
    select distinct on (queueing_lock) id from procrastinate_jobs
    where queue_name = %(queue)s and status in ('todo', 'doing')
    order by queueing_lock, status = 'todo' desc, id desc
), spent as (
    delete from procrastinate_jobs
    where queue_name = %(queue)s and status = 'doing' and id not in (select id from due)
)
update procrastinate_jobs set status = 'todo', worker_id = null
where status = 'doing' and id in (select id from due)

-- name: abandon_jobs_of_silent_workers
with silent as (
    select id, queueing_lock from procrastinate_jobs as job
    where status = 'doing'
      and not exists (select from procrastinate_workers as worker
                      where worker.id = job.worker_id
                        and worker.last_heartbeat > now() - %(timeout)s::interval)
), due as (
    select distinct on (queueing_lock) id from procrastinate_jobs
    where queueing_lock in (select queueing_lock from silent) and status in ('todo', 'doing')
    order by queueing_lock, status = 'todo' desc, id desc
), spent as (
    delete from procrastinate_jobs
    where id in (select id from silent) and id not in (select id from due)
)
update procrastinate_jobs as job set status = 'todo', worker_id = null
where id in (select id from silent) and id in (select id from due)
returning job.queue_name

-- The queue announces a job that is inserted, and not one that is due again.

-- name: announce_due_job
select pg_notify('procrastinate_queue_v1#' || %s, '{"type": "job_inserted", "job_id": 0}')

-- name: delete_expired
delete from task where id < %(oldest)s and status <> 'Running'

-- name: get_task
select *, clock_timestamp() as now from task
where id = %(id)s and project_id = %(project_id)s and not hidden and id >= %(oldest)s

-- name: hide_task
update task set hidden = true
where id = %(id)s and project_id = %(project_id)s and not hidden and id >= %(oldest)s
returning id

-- name: get_steps
select step.* from step join task on task.id = step.task_id
where task.id = %(id)s and project_id = %(project_id)s and not hidden and task.id >= %(oldest)s
order by position

-- name: list_tasks
select task.*, coalesce(instance.status, '') as instance_status, clock_timestamp() as now
from task left join instance on instance.id = task.instance_id
where task.project_id = %(project_id)s and not hidden and task.id >= %(oldest)s and task.id < %(newest)s
  and (%(id)s::uuid is null or task.id = %(id)s)
  and (%(instance_id)s::text is null or task.instance_id = %(instance_id)s)
  and (%(order_id)s::text is null or task.order_id = %(order_id)s)
  and (%(name)s::text is null or task.name = %(name)s)
  and (%(status)s::text is null or task.status = %(status)s)
order by task.id desc
limit %(limit)s offset %(offset)s

-- name: count_tasks
select count(*) as total_count, coalesce(array_agg(distinct name order by name), '{}') as actions
from task
where project_id = %(project_id)s and not hidden and id >= %(oldest)s and id < %(newest)s
  and (%(id)s::uuid is null or id = %(id)s)
  and (%(instance_id)s::text is null or instance_id = %(instance_id)s)
  and (%(order_id)s::text is null or order_id = %(order_id)s)
  and (%(name)s::text is null or name = %(name)s)
  and (%(status)s::text is null or status = %(status)s)

-- name: count_by_name
select name, status, count(*) as tasks from task group by name, status

-- name: queue_depth
select queue_name, status::text, count(*) as jobs from procrastinate_jobs group by queue_name, status

-- name: step_durations
select operation, step, seconds from step_duration
