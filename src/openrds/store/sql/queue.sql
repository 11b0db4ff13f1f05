-- name: make_due
insert into due_step (task_id, project_id, host) values (%(task_id)s, %(project_id)s, %(host)s)
on conflict (task_id) do update set host = excluded.host, worker = null

-- name: announce
select pg_notify('openrds_due', %s)

-- name: listen
listen openrds_due

-- name: listen_for_cancelled
listen openrds_cancelled

-- name: take
-- Of the projects that may have one more step done, that with the fewest; of its tasks that wait, the oldest.
with recursive project as (
    (select project_id as id from due_step where host = %(host)s and worker is null order by project_id limit 1)
    union all
    select (select project_id from due_step
            where host = %(host)s and worker is null and project_id > project.id order by project_id limit 1)
    from project where project.id is not null
)
update due_step set worker = %(worker)s
where worker is null and task_id = (
    select first.task_id
    from project
    left join unnest(%(projects)s::text[], %(steps)s::integer[]) as busy (id, steps) using (id)
    cross join lateral (
        select task_id from due_step
        where host = %(host)s and worker is null and project_id = project.id and task_id <> all (%(at_work)s::uuid[])
        order by task_id limit 1
    ) as first
    where coalesce(busy.steps, 0) < %(most)s
    order by coalesce(busy.steps, 0), first.task_id limit 1
)
returning task_id, project_id

-- name: remove
delete from due_step where task_id = %s

-- name: give_back
update due_step set worker = null where task_id = any (%s) and worker = %s

-- name: note_alive
-- Also whether anything waits that nobody told the worker of.
with noted as (
    insert into worker (id, host, seen_at) values (%(worker)s, %(host)s, now())
    on conflict (id) do update set seen_at = now()
)
select exists (select from due_step where host = %(host)s and worker is null) as waiting

-- name: replace_workers
-- The one worker of a host begins: what its forerunners left in the middle is due again.
with gone as (
    delete from worker where host = %(host)s and id <> %(worker)s
)
update due_step set worker = null where host = %(host)s and worker <> %(worker)s

-- name: return_steps_of_silent_workers
update due_step set worker = null
where worker is not null
  and not exists (select from worker where id = due_step.worker and seen_at > now() - %s::interval)
returning task_id, host

-- name: stranded
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
where task.status = 'Running' and task.changed_at < now() - %(grace)s::interval
  and not exists (select from due_step where due_step.task_id = task.id)

-- name: depth
select host, worker is not null as taken, count(*) as steps from due_step group by 1, 2
