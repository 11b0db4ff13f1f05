-- name: plan
insert into scheduled_task (id, project_id, name, instance_id, instance_name, engine, volume_type, task_name, request,
                            target_config, starts_at, ends_at)
values (%(id)s, %(project_id)s, %(name)s, %(instance_id)s, %(instance_name)s, %(engine)s, %(volume_type)s,
        %(task_name)s, %(request)s, %(target_config)s, %(starts_at)s, %(ends_at)s)

-- name: replan
update scheduled_task set starts_at = %(starts_at)s, ends_at = %(ends_at)s
where instance_id = %(instance_id)s and status = 'Pending'

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
update scheduled_task set status = 'Running', task_id = %(task_id)s where id = %(id)s

-- name: fail
update scheduled_task set status = 'Failed', fail_reason = %(reason)s where id = %(id)s and status = 'Pending'

-- name: cancel
update scheduled_task set status = 'Canceled'
where id = %(id)s and project_id = %(project_id)s and status = 'Pending'
returning id

-- name: cancel_of_instance
update scheduled_task set status = 'Canceled' where instance_id = %s and status = 'Pending'

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
