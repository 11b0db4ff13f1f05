-- name: known
select address, service, problem from repository_copy

-- name: adopt
-- Nothing of another place is in this one.
with others as (
    delete from repository_copy
), reached as (
    delete from copy_reached
), backups as (
    update backup set copied = false where copied
), logs as (
    delete from log_copied
), removals as (
    delete from copy_removal
)
select

-- name: insert
insert into repository_copy (address, service) values (%(address)s, %(service)s)

-- name: note_service
update repository_copy set service = %(service)s where service <> %(service)s

-- name: note_problem
update repository_copy set problem = %(problem)s where problem <> %(problem)s

-- name: note_reached
insert into copy_reached (kind, reached_at) values (%(kind)s, %(reached)s)
on conflict (kind) do update set reached_at = excluded.reached_at

-- name: ages
-- For how many seconds there has been something in the repository that is not in the copy, at most.
select kind, extract(epoch from now() - coalesce(reached_at, adopted_at))::float8 as seconds
from repository_copy, unnest(array['records', 'backups', 'log']) as kind left join copy_reached using (kind)
order by kind

-- name: waiting
select count(*) as backups, min(end_time) as oldest from backup
where status = 'COMPLETED' and outside in ('whole', 'found') and outside <> 'no' and not copied

-- name: backups_to_copy
-- The newest first: it is the one that would be missed most.
select id, instance_id, end_time from backup
where host = %s and status = 'COMPLETED' and outside in ('whole', 'found') and outside <> 'no' and not copied
order by end_time desc

-- name: note_copied
update backup set copied = true where id = %s

-- name: copied_backups
select id, instance_id from backup where host = %s and copied order by instance_id

-- name: forget_copied
update backup set copied = false where id = any(%s)

-- name: logs_to_copy
-- With from when on the log is of use, by the backups that there are and by those that are still there.
select instance.id, log_outside.generation,
       least((select min(begin_time) from backup
              where backup.instance_id = instance.id and status = 'COMPLETED' and continuous),
             (select min(needed_from) from copy_removal where copy_removal.instance_id = instance.id)) as oldest,
       exists (select from backup
               where backup.instance_id = instance.id and status = 'COMPLETED' and continuous) as is_based
from instance
     join node on node.instance_id = instance.id and node.role = 'master'
     join log_outside on log_outside.instance_id = instance.id
where node.host = %s and instance.replica_of is null and not deleting
order by instance.id

-- name: note_log_copied
insert into log_copied (instance_id, generation) select id, %(generation)s from instance where id = %(instance_id)s
on conflict (instance_id) do update set generation = excluded.generation
where log_copied.generation <> excluded.generation

-- name: wanted
-- Of instances that have something in the copy: which of their backups, and of which generation the log, is wanted.
select wanted.id, instance.id is not null as exists, log_outside.generation,
       array(select backup.id from backup where backup.instance_id = wanted.id and status <> 'DELETING') as backups
from unnest(%s::text[]) as wanted (id)
     left join instance on instance.id = wanted.id
     left join log_outside on log_outside.instance_id = wanted.id

-- name: note_unwanted
insert into copy_removal (prefix, instance_id)
select prefix, %(instance_id)s from unnest(%(prefixes)s::text[]) as prefix
on conflict do nothing

-- name: spare_wanted
-- A restore that failed gives back the archive of before.
delete from copy_removal
where exists (select from log_outside
              where log_outside.instance_id = copy_removal.instance_id
                and prefix = 'instances/' || log_outside.instance_id || '/log/' || generation)
   or exists (select from backup
              where backup.instance_id = copy_removal.instance_id and status <> 'DELETING'
                and prefix = 'instances/' || backup.instance_id || '/backups/' || backup.id)

-- name: removals_due
select prefix, instance_id from copy_removal where noted_at < now() - make_interval(secs => %s) order by noted_at

-- name: forget_removals
delete from copy_removal where prefix = any(%s)

-- name: copied_of
-- What of instances is in the copy.
select wanted.id, log_copied.generation,
       array(select id from backup where backup.instance_id = wanted.id and copied) as backups
from unnest(%s::text[]) as wanted (id) left join log_copied on log_copied.instance_id = wanted.id
