-- name: repository
select * from repository

-- name: adopt_repository
-- Nothing of another repository is in this one.
with others as (
    delete from repository
), unsent as (
    update backup set outside = 'no' where outside <> 'no'
), files as (
    delete from backup_outside
), logs as (
    delete from log_outside
), removals as (
    delete from repository_removal
)
select

-- name: insert_repository
insert into repository (address, service, checked_at) values (%(address)s, %(service)s, now())

-- name: note_problem
update repository set problem = %(problem)s where problem <> %(problem)s

-- name: note_checked
update repository set checked_at = now()

-- name: backups_to_send
-- The newest first: it is the one that would be missed most.
select id, instance_id, engine from backup
where host = %s and status = 'COMPLETED' and outside <> 'whole' and outside <> 'found' order by end_time desc

-- name: backups_to_list
-- Those that a service of before has left there.
select id, instance_id from backup
where host = %s and status = 'COMPLETED' and outside <> 'whole' and outside = 'found'

-- name: begin_sending
update backup set outside = 'sending' where id = %s and status = 'COMPLETED' returning id

-- name: is_wanted
select from backup where id = %s and status = 'COMPLETED'

-- name: note_sent
with sent as (
    update backup set outside = 'whole' where id = %(id)s and status = 'COMPLETED' returning id
)
insert into backup_outside (backup_id, names, kb) select id, %(names)s, %(kb)s from sent
on conflict (backup_id) do update set names = excluded.names, kb = excluded.kb

-- name: files_of_backup
-- A page of the objects that a backup is made of in the repository. One row without a name where there are none.
select backup.outside, coalesce(cardinality(names), 0) as total,
       names[%(first)s:%(last)s] as names, kb[%(first)s:%(last)s] as kb, backup.instance_id
from backup left join backup_outside on backup_outside.backup_id = backup.id
where backup.id = %(id)s and project_id = %(project_id)s and status <> 'DELETING'

-- name: removals
select instance_id, backup_id from repository_removal where (backup_id = '') = %(of_logs)s

-- name: forget_removal
delete from repository_removal where instance_id = %(instance_id)s and backup_id = %(backup_id)s

-- name: logs_to_send
-- What comes before the oldest base that log leads from is needed by nobody. With `renewed` there is one outside again.
select instance.id, log_outside.generation, base.begin_time as oldest,
       coalesce((select true from instance_lock where instance_lock.instance_id = instance.id limit 1), false) as held,
       coalesce(base.outside, false) as renewed
from instance
     join node on node.instance_id = instance.id and node.role = 'master'
     left join log_outside on log_outside.instance_id = instance.id
     left join lateral (
         select min(begin_time) as begin_time, bool_or(outside in ('whole', 'found')) as outside from backup
         where backup.instance_id = instance.id and backup.status = 'COMPLETED' and continuous
     ) as base on true
where node.host = %s and instance.replica_of is null and not deleting
order by instance.id

-- name: note_log_sent
insert into log_outside (instance_id, generation, reached_at)
select id, %(generation)s, %(reached)s from instance where id = %(instance_id)s
on conflict (instance_id) do update set generation = excluded.generation, reached_at = excluded.reached_at

-- name: ages
-- Of each instance that keeps backups: since when nothing new of it is outside, where none of it ever was its creation.
select instance.id, extract(epoch from now() - coalesce(log_outside.reached_at, instance.created_at))::float8 as seconds
from instance left join log_outside on log_outside.instance_id = instance.id
where instance.replica_of is null and backup_keep_days > 0 and not deleting
order by instance.id

-- name: waiting
select count(*) as backups, min(end_time) as oldest from backup
where status = 'COMPLETED' and outside <> 'whole' and outside <> 'found'

-- name: recorded_instances
-- Those of which there is something to be recorded.
select id from instance union select instance_id from backup where outside in ('whole', 'found') or copied order by 1

-- name: records
-- What is needed to have instances again: with their nodes, addresses and those backups that are outside, or in a copy.
with wanted as (
    select id from instance where id = any(%(ids)s)
    union
    select instance_id from backup where (outside in ('whole', 'found') or copied) and instance_id = any(%(ids)s)
)
select wanted.id, to_jsonb(instance) as instance, log_outside.generation,
       (select host(held.address) from public_address as held
        where held.instance_id = wanted.id and bound) as public_address,
       (select coalesce(jsonb_agg(to_jsonb(node) - '{used_bytes,replication,replication_seen_at,revivals,revived_at}'::text[]
                                  order by node.id), '[]') from node
        where node.instance_id = wanted.id) as nodes,
       (select coalesce(jsonb_agg(to_jsonb(held) order by held.address), '[]') from address as held
        where held.instance_id = wanted.id) as addresses,
       (select coalesce(jsonb_agg(to_jsonb(backup) - 'copied' order by backup.id), '[]') from backup
        where backup.instance_id = wanted.id and status = 'COMPLETED'
          and (outside in ('whole', 'found') or copied)) as backups
from wanted left join instance on instance.id = wanted.id
     left join log_outside on log_outside.instance_id = wanted.id
order by 1

-- name: projects
select to_jsonb(project) as project from project order by id

-- name: belongings
-- Of projects beside their instances: what these refer to, and webhooks.
select * from (
    select 'vpc', to_jsonb(vpc) from vpc
    union all
    select 'subnet', to_jsonb(subnet) from subnet
    union all
    select 'security_group', to_jsonb(security_group) from security_group
    union all
    select 'security_group_rule', to_jsonb(security_group_rule) from security_group_rule
    union all
    select 'configuration', to_jsonb(configuration) from configuration
    union all
    select 'webhook', to_jsonb(webhook) from webhook
) as belonging (of, record)
order by of, record ->> 'id'

-- name: accounts
select to_jsonb(account) as account from account order by access_key

-- name: any_project
select from project limit 1
