-- name: lock_project
-- Whoever only refers to it, as a new instance does, does not wait.
select id from project where id = %s for no key update

-- name: used
-- What a project has of each thing that there is a quota for. What is in the recycle bin counts: of an instance the last
-- state as one backup, and all by their size. A backup in the making will take what its instance has.
select (select count(*) from instance where project_id = %(project_id)s) as instances,
       (select count(*) from instance join public_address on public_address.instance_id = instance.id
        where project_id = %(project_id)s) as public_addresses,
       (select count(distinct task_id) from instance_lock join instance on instance.id = instance_lock.instance_id
        where project_id = %(project_id)s)
       + (select count(*) from scheduled_task where project_id = %(project_id)s and status = 'Pending') as tasks,
       backups, backup_kb
from (
    select count(*) filter (where type = 'manual' or recycled is not null) as backups,
           coalesce(sum(case when status = 'BUILDING'
                             then (select max(used_bytes) / 1024 from node where node.instance_id = backup.instance_id)
                             else size_kb end), 0)::bigint as backup_kb
    from backup where project_id = %(project_id)s and status <> 'DELETING'
                  and (type = 'manual' or recycled is not null or retained_until is not null)
) as kept

-- name: networks_used
-- What a project has made of the network, beside its default one.
select (select count(*) from vpc where project_id = %(project_id)s) as vpcs,
       (select count(*) from subnet where project_id = %(project_id)s) as subnets,
       (select count(*) from security_group where project_id = %(project_id)s) as security_groups,
       (select count(*) from security_group_rule where project_id = %(project_id)s) as security_group_rules
