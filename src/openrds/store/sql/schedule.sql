-- name: plan
insert into scheduled_task (id, project_id, name, instance_id, instance_name, engine, volume_type, task_name, request,
                            target_config, starts_at, ends_at)
values (%(id)s, %(project_id)s, %(name)s, %(instance_id)s, %(instance_name)s, %(engine)s, %(volume_type)s,
        %(task_name)s, %(request)s, %(target_config)s, %(starts_at)s, %(ends_at)s)

-- name: replan
update scheduled_task set starts_at = %(starts_at)s, ends_at = %(ends_at)s, updated_at = now()
where instance_id = %(instance_id)s and status = 'Pending' and not reserved

-- name: move
update scheduled_task
set starts_at = %(starts_at)s, ends_at = %(ends_at)s, reserved = %(reserved)s, updated_at = now()
where id = %(id)s and status = 'Pending'

-- name: take_planned
select * from scheduled_task
where id = %(id)s and instance_id = %(instance_id)s and project_id = %(project_id)s for update

-- name: was_planned
select from scheduled_task
where instance_id = %(instance_id)s and name = %(name)s and target_config ->> 'version' = %(version)s

-- name: due
select scheduled_task.*, instance.maintenance_window
from scheduled_task left join instance on instance.id = instance_id
where scheduled_task.status = 'Pending' and starts_at <= now()
order by starts_at, scheduled_task.created_at

-- name: next_start
-- In how many seconds; null where nothing waits.
select extract(epoch from min(starts_at) - now())::float8 as seconds from scheduled_task where status = 'Pending'

-- name: take_pending
select id from scheduled_task where id = %s and status = 'Pending' for update

-- name: started
update scheduled_task set status = 'Running', task_id = %(task_id)s, updated_at = now() where id = %(id)s

-- name: fail
update scheduled_task set status = 'Failed', fail_reason = %(reason)s, updated_at = now()
where id = %(id)s and status = 'Pending'

-- name: cancel
update scheduled_task set status = 'Canceled', updated_at = now()
where id = %(id)s and project_id = %(project_id)s and status = 'Pending'
returning id

-- name: cancel_of_instance
update scheduled_task set status = 'Canceled', updated_at = now()
where instance_id = %s and status = 'Pending'

-- name: delete_expired
delete from scheduled_task where created_at < now() - interval '30 days' and status <> 'Pending'

-- name: find
select * from scheduled_task where id = %(id)s and project_id = %(project_id)s

-- name: list
with matching as (
    select scheduled_task.*, coalesce(task.status, scheduled_task.status) as true_status,
           coalesce(instance.status, '') as instance_status
    from scheduled_task
    left join task on task.id = scheduled_task.task_id
    left join instance on instance.id = scheduled_task.instance_id
    where scheduled_task.project_id = %(project_id)s
      and (%(instance_id)s::text is null or scheduled_task.instance_id = %(instance_id)s)
      and (%(instance_name)s::text is null or scheduled_task.instance_name = %(instance_name)s)
      and (%(status)s::text is null or coalesce(task.status, scheduled_task.status) = %(status)s)
      and (%(start_time)s::timestamptz is null or scheduled_task.created_at >= %(start_time)s)
      and (%(end_time)s::timestamptz is null or scheduled_task.created_at <= %(end_time)s)
), page as (
    select * from matching order by created_at desc, id desc limit %(limit)s offset %(offset)s
)
-- One row that has only the count, where the page is empty.
select total.total_count, page.*
from (select count(*) as total_count from matching) as total left join page on true
order by created_at desc, id desc

-- name: events
-- `counts` are of all that match but for their status.
with known as (
    select scheduled_task.*, coalesce(task.status, scheduled_task.status) as true_status,
           task.created_at as executed_at, greatest(scheduled_task.updated_at, task.changed_at) as changed_at
    from scheduled_task left join task on task.id = scheduled_task.task_id
    where scheduled_task.project_id = %(project_id)s
      and (%(id)s::uuid is null or scheduled_task.id = %(id)s)
      and (%(instance_id)s::text is null or scheduled_task.instance_id = %(instance_id)s)
), keyed as (
    select known.*, case %(sort_field)s::text when 'planned_execution_time' then starts_at
                                        when 'latest_execution_time' then executed_at
                                        else created_at end as sort_key
    from known where %(status)s::text is null or true_status = %(status)s
), page as (
    select * from keyed
    order by case when %(descending)s then sort_key end desc nulls last, sort_key, id desc
    limit %(limit)s offset %(offset)s
), counts as (
    select count(*) filter (where true_status = 'Pending') as scheduled,
           count(*) filter (where true_status = 'Running') as executing,
           count(*) filter (where true_status = 'Failed') as failed,
           count(*) filter (where %(status)s::text is null or true_status = %(status)s) as matching
    from known
)
-- One row that has only the counts, where the page is empty.
select counts.*, page.* from counts left join page on true
order by case when %(descending)s then sort_key end desc nulls last, sort_key, id desc
