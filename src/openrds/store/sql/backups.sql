-- name: insert_backup
insert into backup (id, project_id, instance_id, instance_name, host, name, description, type, engine, version,
                    complete_version, volume_size, options, parameters)
select %(id)s, project_id, instance.id, instance.name, %(host)s, %(name)s, %(description)s, %(type)s, engine, version,
       complete_version, volume_size, options, parameters
from instance where instance.id = %(instance_id)s
on conflict (project_id, name) where type = 'manual' and status <> 'DELETING' do nothing
returning *

-- name: backup_by_id
select * from backup where id = %s

-- name: get_backup
select * from backup where id = %(id)s and project_id = %(project_id)s and status <> 'DELETING' for update

-- name: running_backup
select id, name, recycled from backup where instance_id = %s and status = 'BUILDING'

-- name: stop_backup
update backup set stopping = true where id = %s

-- name: backups_to_stop
select id, instance_id, engine from backup where host = %s and status = 'BUILDING' and stopping

-- name: task_making_backup
select task.id from instance_lock join task on task.id = instance_lock.task_id
where instance_lock.instance_id = %s and operation = 'back_up'

-- name: complete_backup
update backup set status = 'COMPLETED', size_kb = %(size_kb)s, end_time = %(end_time)s, continuous = true,
                  log_position = %(log_position)s
where id = %(id)s

-- name: fail_backup
update backup set status = 'FAILED', end_time = now() where id = %s

-- name: delete_backup
update backup set status = 'DELETING', continuous = false where id = %s

-- name: delete_automatic_backups
delete from backup where instance_id = %s and type = 'auto' and retained_until is null

-- name: automatic_backups
select id from backup where instance_id = %s and type = 'auto' and retained_until is null

-- name: backups_to_remove
select id, instance_id from backup where status = 'DELETING' and host = %s

-- name: forget_backup
delete from backup where id = %s and status = 'DELETING'

-- name: task_restoring_from
select id, name from task where status = 'Running' and parameters ->> 'backup_id' = %s limit 1

-- name: task_restoring_from_instance
select id, name from task
where status = 'Running' and instance_id <> %(instance_id)s and parameters ->> 'source_id' = %(instance_id)s limit 1

-- name: list_backups
with matching as (
    select * from backup
    where project_id = %(project_id)s and instance_id = %(instance_id)s
      and (%(id)s::text is null or id = %(id)s)
      and (%(type)s::text is null or type = %(type)s)
      and (%(status)s::text is null or status = %(status)s)
      and (%(from)s::timestamptz is null or begin_time >= %(from)s)
      and (%(until)s::timestamptz is null or begin_time <= %(until)s)
), page as (
    select * from matching order by begin_time desc, id limit %(limit)s offset %(offset)s
)
-- One row that has only the count, where the page is empty.
select total.total_count, page.*
from (select count(*) as total_count from matching) as total left join page on true
order by begin_time desc, id

-- name: restorable_ranges
-- None where no backup is followed by log. A server that does not run has committed nothing since.
select min(end_time) as start_time, coalesce(reaches, now()) as end_time from backup
join instance on instance.id = backup.instance_id and backup_keep_days > 0
where instance_id = %s and backup.status = 'COMPLETED' and continuous and (reaches is null or end_time < reaches)
group by reaches
order by 1

-- name: base_for
select * from backup
where instance_id = %(instance_id)s and status = 'COMPLETED' and continuous and end_time <= %(moment)s
  and (reaches is null or reaches >= %(moment)s)
order by end_time desc limit 1

-- name: next_backup
-- The first that was finished after a moment.
select * from backup
where instance_id = %(instance_id)s and status = 'COMPLETED' and end_time > %(moment)s
order by end_time limit 1

-- name: task_replacing
-- A task that removes or replaces what others would restore from.
select task.id, task.name from instance_lock join task on task.id = instance_lock.task_id
where instance_lock.instance_id = %s
  and operation in ('restore_instance', 'upgrade_major', 'delete_instance', 'recycle_instance')

-- name: backup_candidates
select instance.*, now() as now,
       (select max(begin_time) from backup where backup.instance_id = instance.id and type = 'auto') as last_automatic,
       exists (select from backup where backup.instance_id = instance.id and backup.status = 'COMPLETED'
                                    and continuous) as has_base
from instance join node on node.instance_id = instance.id and node.role = 'master'
where node.host = %s and instance.status = 'ACTIVE' and not deleting and backup_keep_days > 0
  and instance.type <> 'Replica'
  and not exists (select from instance_lock where instance_lock.instance_id = instance.id)

-- name: end_continuity
-- What is older than the instance keeps is no base for later moments any more, but for the newest.
update backup set continuous = false
from instance
where backup.instance_id = instance.id and instance.id = %s and continuous and backup.status = 'COMPLETED'
  and (backup_keep_days = 0
       or (end_time < now() - make_interval(days => backup_keep_days)
           and exists (select from backup as newer
                       where newer.instance_id = instance.id and newer.status = 'COMPLETED' and newer.continuous
                         and newer.end_time > backup.end_time)))

-- name: expire_automatic_backups
-- The last one that can be restored stays until there is a newer, unless the instance keeps none.
update backup set status = 'DELETING', continuous = false
from instance
where backup.instance_id = instance.id and instance.id = %s and backup.type = 'auto' and retained_until is null
  and backup.status in ('COMPLETED', 'FAILED')
  and (backup_keep_days = 0
       or (end_time < now() - make_interval(days => backup_keep_days)
           and exists (select from backup as newer
                       where newer.instance_id = instance.id and newer.status = 'COMPLETED'
                         and newer.end_time > backup.end_time)))
  and not exists (select from task where task.status = 'Running' and parameters ->> 'backup_id' = backup.id)

-- name: bases
select id, log_position, reaches from backup where instance_id = %s and status = 'COMPLETED' and continuous

-- name: end_continuity_of
update backup set continuous = false where id = %s

-- name: doubt_reach
-- Each leads only to the newest until the log between that and another primary's is known to be in the archive.
update backup set reaches = newest.end_time
from (select max(end_time) as end_time from backup
      where instance_id = %(instance_id)s and status = 'COMPLETED' and continuous) as newest
where instance_id = %(instance_id)s and status = 'COMPLETED' and continuous and reaches is null

-- name: trust_reach
update backup set reaches = null where id = %s

-- name: oldest_base
select log_position from backup
where instance_id = %s and status = 'COMPLETED' and continuous order by begin_time limit 1

-- name: break_continuity
update backup set continuous = false where instance_id = %s

-- name: instances_of_host
select distinct instance.id, instance.engine from instance join node on node.instance_id = instance.id
where node.host = %s

-- name: usage
select coalesce(sum(size_kb), 0)::bigint as size_kb from backup
where project_id = %(project_id)s and status = 'COMPLETED' and (%(engine)s::text is null or engine = %(engine)s)

-- name: usage_by_instance
with matching as (
    select instance_id, max(instance_name) as instance_name, max(engine) as engine, max(version) as version,
           sum(size_kb)::bigint as size_kb
    from backup
    where project_id = %(project_id)s and status = 'COMPLETED'
      and (%(engine)s::text is null or engine = %(engine)s)
      and (%(instance_id)s::text is null or instance_id = %(instance_id)s)
      and (%(instance_name)s::text is null or instance_name = %(instance_name)s)
    group by instance_id
), page as (
    select *, case when %(ascending)s then size_kb else -size_kb end as place from matching
    order by place, instance_id limit %(limit)s offset %(offset)s
)
-- One row that has only the count, where the page is empty.
select total.total_count, page.*
from (select count(*) as total_count from matching) as total left join page on true
order by place, instance_id

-- name: recycle_policy
select recycle_days from project where id = %s

-- name: set_recycle_policy
update project set recycle_days = %(days)s where id = %(project_id)s

-- name: mark_last_backup
-- What is shown of the instance when it is gone.
update backup set recycled = jsonb_build_object(
    'type', instance.type, 'volume_type', volume_type, 'address', host(address),
    'created_at', to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS+0000'),
    'enterprise_project_id', enterprise_project_id)
from instance where backup.instance_id = instance.id and backup.id = %s

-- name: put_into_bin
update backup set deleted_at = now(), retained_until = now() + make_interval(days => %(days)s), continuous = false
where instance_id = %(instance_id)s and type = 'auto'

-- name: expire_recycled
update backup set status = 'DELETING'
where host = %s and retained_until <= now() and status <> 'DELETING'
  and not exists (select from task where task.status = 'Running' and parameters ->> 'backup_id' = backup.id)

-- name: take_out_of_bin
-- What is older goes with the last state; what is being restored from, later by itself.
update backup set status = 'DELETING'
where instance_id = %s and retained_until is not null
  and not exists (select from task where task.status = 'Running' and parameters ->> 'backup_id' = backup.id)

-- name: list_retained
with matching as (
    select * from backup
    where project_id = %(project_id)s and instance_id = %(instance_id)s and status = 'COMPLETED'
      and not exists (select from instance where instance.id = %(instance_id)s)
), page as (
    select * from matching order by begin_time desc, id limit %(limit)s offset %(offset)s
)
-- One row that has only the count, where the page is empty.
select total.total_count, page.*
from (select count(*) as total_count from matching) as total left join page on true
order by begin_time desc, id

-- name: list_recycled
with matching as (
    select * from backup
    where project_id = %(project_id)s and recycled is not null and deleted_at is not null and status = 'COMPLETED'
), page as (
    select * from matching order by deleted_at desc, id limit %(limit)s offset %(offset)s
)
-- One row that has only the count, where the page is empty.
select total.total_count, page.*
from (select count(*) as total_count from matching) as total left join page on true
order by deleted_at desc, id
