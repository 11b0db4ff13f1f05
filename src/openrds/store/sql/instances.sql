-- name: insert_instance
insert into instance (id, project_id, name, engine, version, complete_version, type, status, flavor_ref, volume_type,
                      volume_size, port, availability_zone, vpc_id, subnet_id, security_group_id, replication_mode,
                      switch_strategy, configuration_id, enterprise_project_id, disk_encryption_id, time_zone,
                      backup_start_time, backup_keep_days, tags, replica_of, secret, options, ssl, growth,
                      auto_upgrade, parameters, parameters_in_force)
values (%(id)s, %(project_id)s, %(name)s, %(engine)s, %(version)s, %(complete_version)s, %(type)s, 'BUILD',
        %(flavor_ref)s, %(volume_type)s, %(volume_size)s, %(port)s, %(availability_zone)s, %(vpc_id)s, %(subnet_id)s,
        %(security_group_id)s, %(replication_mode)s, %(switch_strategy)s, %(configuration_id)s,
        %(enterprise_project_id)s, %(disk_encryption_id)s, %(time_zone)s, %(backup_start_time)s,
        %(backup_keep_days)s, %(tags)s, %(replica_of)s, %(secret)s, %(options)s, %(ssl)s, %(growth)s,
        %(auto_upgrade)s, %(parameters)s, %(parameters)s)

-- name: insert_node
insert into node (id, instance_id, name, role, host, availability_zone)
values (%(id)s, %(instance_id)s, %(name)s, %(role)s, %(host)s, %(availability_zone)s)

-- name: lock_host
select name from host where name = %s for update

-- name: count_places
-- How many addresses of a host its instances need: an endpoint, and one more for each node where there are several.
select coalesce(sum(case when nodes > 1 then nodes + 1 else 1 end), 0)::integer as places
from (select count(*) as nodes from node where host = %s group by instance_id) as counted

-- name: count_instances
select count(*) as instances from instance where project_id = %s

-- name: get_instance
select * from instance where id = %(id)s and project_id = %(project_id)s for update

-- name: instance_by_id
select * from instance where id = %s

-- name: nodes_of_instance
-- With the public address at which clients come to their instance.
select node.*, host(public_address.address) as public_address
from node left join public_address on public_address.instance_id = node.instance_id and public_address.bound
where node.instance_id = %s order by node.role = 'slave', node.id

-- name: node_by_id
select node.*, host(public_address.address) as public_address
from node left join public_address on public_address.instance_id = node.instance_id and public_address.bound
where node.id = %s

-- name: set_status
-- An instance at rest whose volume is full is never ACTIVE.
update instance set status = case when storage_full and %(status)s = 'ACTIVE' then 'STORAGE FULL' else %(status)s end,
                    deleting = %(deleting)s, updated_at = now() where id = %(id)s

-- name: set_name
update instance set name = %(name)s, updated_at = now() where id = %(id)s

-- name: set_alias
update instance set alias = %(alias)s, updated_at = now() where id = %(id)s

-- name: set_maintenance_window
update instance set maintenance_window = %(window)s, updated_at = now() where id = %(id)s

-- name: set_backup_policy
update instance set backup_keep_days = %(keep_days)s, backup_start_time = coalesce(%(start_time)s, backup_start_time),
                    backup_period = coalesce(%(period)s, backup_period), updated_at = now()
where id = %(id)s

-- name: set_tags
update instance set tags = %(tags)s, updated_at = now() where id = %(id)s

-- name: delete_instance
delete from instance where id = %s

-- name: delete_node
delete from node where id = %s

-- name: set_confirmation
update node set confirmation = %(confirmation)s where instance_id = %(instance_id)s and role = 'slave'

-- name: change_roles
update node set role = case when id = %(new)s then 'master' else 'slave' end, confirmation = 'no'
where id in (%(old)s, %(new)s)

-- name: set_replication_mode
update instance set replication_mode = %(mode)s, updated_at = now() where id = %(instance_id)s

-- name: set_switch_strategy
update instance set switch_strategy = %(strategy)s, updated_at = now() where id = %(instance_id)s

-- name: set_ha
update instance set type = 'Ha', flavor_ref = %(flavor_ref)s, replication_mode = %(mode)s,
                    switch_strategy = %(strategy)s, availability_zone = %(availability_zone)s, updated_at = now()
where id = %(instance_id)s

-- name: replicas_of_instance
select * from instance where replica_of = %s order by id

-- name: lost_replicas
-- Written down of a lost service, each to be made anew now that its primary serves.
select replica.id, replica.project_id
from instance as replica join instance as primary_ on primary_.id = replica.replica_of
where replica.replica_of is not null and replica.status = 'BUILD' and replica.wanted = 'stopped' and not replica.deleting
  and primary_.status = 'ACTIVE' and not primary_.deleting
  and not exists (select from instance_lock where instance_id in (replica.id, primary_.id))
order by replica.id

-- name: give_up_lost_replicas
update instance set status = 'CREATE FAIL', wanted = 'gone', updated_at = now()
where replica_of = %s and status = 'BUILD' and wanted = 'stopped' returning id

-- name: replicas_to_bind
-- They had a public address in the service that was lost. What a caller wants to bind is bound, or held by a task.
select instance.id, instance.project_id, host(public_address.address) as address
from public_address join instance on instance.id = public_address.instance_id
where not public_address.bound and instance.replica_of is not null and instance.status = 'ACTIVE'
  and not instance.deleting and not exists (select from instance_lock where instance_id = instance.id)
order by instance.id

-- name: delete_replicas
delete from instance where replica_of = %s

-- name: followers_to_watch
select instance.id, node.id as node_id
from node join instance on instance.id = node.instance_id
where node.host = %s and node.role <> 'master' and instance.status not in ('BUILD', 'CREATE FAIL', 'SHUTDOWN', 'FROZEN')

-- name: note_replication
update node set replication = %(replication)s, replication_seen_at = now() where id = %(node_id)s

-- name: replication_of_instance
-- Its standby, and the nodes of its read replicas, or its own where it is one.
select node.*, host(public_address.address) as public_address, instance.status as instance_status
from node join instance on instance.id = node.instance_id
     left join public_address on public_address.instance_id = node.instance_id and public_address.bound
where (instance.id = %(id)s or instance.replica_of = %(id)s) and instance.project_id = %(project_id)s
  and node.role <> 'master'
order by node.role <> 'slave', node.id

-- name: set_node_address
update node set address = %(address)s where id = %(node_id)s

-- name: set_endpoint
update instance set address = %(address)s where id = %(instance_id)s

-- name: move_endpoint
-- With the node that listens there, if one does.
with moved as (
    update node set address = %(address)s
    from instance
    where instance.id = %(instance_id)s and node.instance_id = instance.id and node.address = instance.address
)
update instance set address = %(address)s where id = %(instance_id)s

-- name: release_left_endpoints
-- Those that an instance took to move there or from there, and where it is not.
delete from address using instance
where instance.id = %s and address.instance_id = instance.id and address.node_id is null
  and address.address is distinct from instance.address

-- name: addresses_of_host
select host(address) as address from address where host = %s

-- name: held_address
select host(address) as address from address
where instance_id = %(instance_id)s and node_id is not distinct from %(node_id)s

-- name: take_address
insert into address (host, address, instance_id, node_id)
values (%(host)s, %(address)s, %(instance_id)s, %(node_id)s)
on conflict do nothing
returning host(address) as address

-- name: release_node_address
with released as (
    delete from address where node_id = %(node_id)s
)
update node set address = null where id = %(node_id)s

-- name: release_addresses
with released as (
    delete from address where instance_id = %(instance_id)s
), public as (
    delete from public_address where instance_id = %(instance_id)s
), nodes as (
    update node set address = null where instance_id = %(instance_id)s
)
update instance set address = null where id = %(instance_id)s

-- name: routes_of_host
-- A server that does not listen on its instance's endpoint gets what comes there, and at the public address, passed on.
with serving as (
    select instance.id, instance.address, instance.port, node.address as node_address
    from instance join node on node.instance_id = instance.id and node.role in ('master', 'readreplica')
    where node.host = %s and node.address is not null and instance.status not in ('SHUTDOWN', 'FROZEN')
)
select host(address) as address, port, host(node_address) as node_address
from serving where address <> node_address
union all
select host(public_address.address), port, host(node_address)
from serving join public_address on public_address.instance_id = serving.id and public_address.bound
order by 1

-- name: take_public_address
insert into public_address (address, instance_id) values (%(address)s, %(instance_id)s)
on conflict do nothing
returning address

-- name: public_address_of_instance
select host(address) as address, bound from public_address where instance_id = %s

-- name: holder_of_public_address
select instance.* from public_address join instance on instance.id = public_address.instance_id
where public_address.address = %s

-- name: set_bound
update public_address set bound = %(bound)s where instance_id = %(instance_id)s

-- name: release_public_address
delete from public_address where instance_id = %s

-- name: bound_addresses
select host(public_address.address) as address, instance.id as instance_id, instance.project_id,
       host(instance.address) as endpoint
from public_address join instance on instance.id = public_address.instance_id
where public_address.bound

-- name: forwarding_of_instance
-- By what means the hosts of its nodes pass connections on; one that has none comes first.
select host.forwarding from node join host on host.name = node.host where node.instance_id = %s order by 1

-- name: set_port
update instance set port = %(port)s, updated_at = now() where id = %(instance_id)s

-- name: set_security_group
update instance set security_group_id = %(security_group_id)s, updated_at = now() where id = %(id)s

-- name: set_ssl
update instance set ssl = %(ssl)s, updated_at = now() where id = %(id)s

-- name: versions_with_ssl
-- Which complete ones instances of a host have that offer TLS.
select distinct complete_version from instance
where ssl and engine = %(engine)s and version = %(version)s
  and exists (select from node where node.instance_id = instance.id and node.host = %(host)s)

-- name: forgo_ssl
-- Of a version that a host has without TLS.
update instance set ssl = false
where ssl and engine = %(engine)s and version = %(version)s and complete_version = %(complete_version)s
  and exists (select from node where node.instance_id = instance.id and node.host = %(host)s)

-- name: set_remote_access
update instance set remote_access = %(allowed)s, updated_at = now() where id = %(id)s

-- name: set_log_retention
update instance set log_retention_hours = %(hours)s, updated_at = now() where id = %(id)s

-- name: set_slow_log_with_values
update instance set slow_log_with_values = %(shown)s, updated_at = now() where id = %(id)s

-- name: set_growth
update instance set growth = %(growth)s, updated_at = now() where id = %(id)s

-- name: set_monitor_interval
update instance set monitor_interval = %(seconds)s, updated_at = now() where id = %(id)s

-- name: set_auto_upgrade
update instance set auto_upgrade = %(is_on)s, updated_at = now() where id = %(id)s

-- name: to_upgrade
select instance.id, instance.project_id
from instance join node on node.instance_id = instance.id and node.role = 'master'
where node.host = %s and auto_upgrade and instance.status = 'ACTIVE' and not deleting
order by instance.type = 'Replica' desc, instance.id

-- name: set_stopped
update instance set stopped_at = now() where id = %s

-- name: stopped_for_long
-- Stopped for longer than they may be, and now in their maintenance window. A read replica starts with its primary.
select instance.id, instance.project_id
from instance, (select (now() at time zone 'UTC')::time as now) as clock,
     lateral (select split_part(maintenance_window, '-', 1)::time as begins,
                     split_part(maintenance_window, '-', 2)::time as ends) as daily
where status = 'SHUTDOWN' and stopped_at < now() - interval '7 days' and replica_of is null and not deleting
  and case when begins < ends then clock.now >= begins and clock.now < ends
           else clock.now >= begins or clock.now < ends end

-- name: addresses_of_instance
-- Where clients come to it, and where its servers listen.
select distinct host(address) as address from (
    select address from instance where id = %(id)s
    union all select address from node where instance_id = %(id)s
    union all select address from public_address where instance_id = %(id)s
) as held
where address is not null

-- name: os_user
select uid, handed_over from os_user where instance_id = %s

-- name: take_os_user
insert into os_user (instance_id, host, uid, handed_over) values (%(instance_id)s, %(host)s, %(uid)s, true)
on conflict do nothing

-- name: assign_os_user
-- To an instance from before; nothing where the id is another's.
update os_user set uid = %(uid)s
where instance_id = %(instance_id)s and uid is null
  and not exists (select from os_user as other where other.host = os_user.host and other.uid = %(uid)s)

-- name: lock_os_user
select uid, handed_over from os_user where instance_id = %s for update

-- name: set_handed_over
update os_user set handed_over = true where instance_id = %s

-- name: release_os_users
delete from os_user
where not exists (select from instance where instance.id = os_user.instance_id)
  and not exists (select from backup where backup.instance_id = os_user.instance_id)

-- name: set_host
insert into host (name, availability_zone, installations, forwarding, memory_mb)
values (%(name)s, %(availability_zone)s, %(installations)s, %(forwarding)s, %(memory_mb)s)
on conflict (name) do update set availability_zone = excluded.availability_zone,
                                 installations = excluded.installations, forwarding = excluded.forwarding,
                                 memory_mb = excluded.memory_mb, seen_at = now()

-- name: host
select * from host where name = %s

-- name: hosts
select * from host order by name

-- name: nodes_of_host
-- All of a host, or those of some instances. The ones that are `free` are to serve, and no task holds their instance.
select instance.*, node.id as node_id, node.instance_id as node_instance_id, node.name as node_name,
       node.role as node_role, node.host as node_host, node.availability_zone as node_availability_zone,
       node.address as node_address, node.confirmation as node_confirmation, node.revivals as node_revivals,
       node.revived_at as node_revived_at, node.used_bytes as node_used_bytes,
       node.replication as node_replication, node.replication_seen_at as node_replication_seen_at,
       (select host(public_address.address) from public_address
        where public_address.instance_id = instance.id and public_address.bound) as node_public_address,
       now() as now,
       instance.wanted = 'serving'
       and not exists (select from instance_lock where instance_lock.instance_id = instance.id) as free
from node join instance on instance.id = node.instance_id
where node.host = %(host)s and (%(ids)s::text[] is null or instance.id = any(%(ids)s))
order by instance.id, node.role = 'slave', node.id

-- name: measures_of_nodes
-- What was last measured of the nodes of instances; a lag only of followers that were seen not long ago.
select node.id, node.used_bytes, (seen.replication ->> 'lag_bytes')::bigint as lag_bytes,
       (seen.replication ->> 'lag_seconds')::double precision as lag_seconds
from node left join node as seen on seen.id = node.id and seen.replication_seen_at > now() - interval '90 seconds'
where node.instance_id = any(%s)

-- name: instance_at_rest
-- Locked: an operation that comes meanwhile waits until we are done with it.
select * from instance
where id = %s and status in ('ACTIVE', 'STORAGE FULL') and not deleting
  and not exists (select from instance_lock where instance_lock.instance_id = instance.id)
for update

-- name: free_instance
-- The same, whatever its status is.
select * from instance
where id = %s and wanted = 'serving'
  and not exists (select from instance_lock where instance_lock.instance_id = instance.id)
for update

-- name: set_wanted
update instance set wanted = %(wanted)s where id = %(id)s

-- name: forget_revivals
update node set revivals = 0 where instance_id = %s

-- name: revivals_of_instances
select node.instance_id, max(node.revivals) as revivals from node
where node.revived_at > now() - interval '10 minutes' and node.revivals > 0
group by node.instance_id

-- name: set_read_only
update instance set read_only = %(read_only)s, updated_at = now() where id = %(id)s

-- name: set_writable
update instance set writable_until = now() + %(minutes)s * interval '1 minute', updated_at = now() where id = %(id)s

-- name: set_storage_full
update instance set storage_full = %(full)s where id = %(id)s

-- name: set_used_bytes
update node set used_bytes = %(used)s where id = %(id)s

-- name: set_volume_size
update instance set volume_size = %(size)s, updated_at = now() where id = %(id)s

-- name: set_flavor
update instance set flavor_ref = %(flavor)s, updated_at = now() where id = %(id)s

-- name: set_version
update instance set version = %(version)s, complete_version = %(complete_version)s, updated_at = now()
where id = %(id)s and (version, complete_version) <> (%(version)s, %(complete_version)s)

-- name: note_revival
update node set revived_at = now(),
                revivals = case when revived_at > now() - interval '10 minutes' then revivals + 1 else 1 end
where id = %s
returning revivals

-- name: list_instances
with matching as (
    select * from instance
    where project_id = %(project_id)s
      and (not deleting or status in ('ACTIVE', 'BACKING UP'))
      and (%(id)s::text is null or id = %(id)s)
      and (%(id_part)s::text is null or strpos(id, %(id_part)s) > 0)
      and (%(name)s::text is null or name = %(name)s)
      and (%(name_part)s::text is null or strpos(name, %(name_part)s) > 0)
      and (%(type)s::text is null or type = %(type)s)
      and (%(engine)s::text is null or engine = %(engine)s)
      and (%(eps_id)s::text is null or enterprise_project_id = %(eps_id)s)
      and (%(vpc_id)s::text is null or vpc_id = %(vpc_id)s)
      and (%(subnet_id)s::text is null or subnet_id = %(subnet_id)s)
      and tags @> %(tags)s::jsonb
), page as (
    select matching.*,
           coalesce((select json_agg(json_build_object('id', node.id, 'name', node.name, 'role', node.role,
                                                       'availability_zone', node.availability_zone)
                                     order by node.role = 'slave', node.id)
                     from node where node.instance_id = matching.id), '[]') as nodes,
           coalesce((select json_agg(replica.id order by replica.created_at, replica.id)
                     from instance as replica
                     where replica.replica_of = matching.id
                       and (not replica.deleting or replica.status in ('ACTIVE', 'BACKING UP'))), '[]') as replicas,
           (select host(public_address.address) from public_address
            where public_address.instance_id = matching.id and public_address.bound) as public_address
    from matching
    order by created_at desc, id
    limit %(limit)s offset %(offset)s
)
-- One row that has only the count, where the page is empty.
select total.total_count, page.*
from (select count(*) as total_count from matching) as total left join page on true
order by created_at desc, id

-- name: count_by_status
select status, engine, count(*) as instances from instance group by status, engine

-- name: tags_of_project
select tag ->> 'key' as key, array_agg(distinct tag ->> 'value' order by tag ->> 'value') as values
from instance cross join jsonb_array_elements(tags) as tag
where project_id = %s
group by tag ->> 'key'
order by tag ->> 'key'

-- name: instances_called
-- By id or name, of whatever project.
select id, project_id, name from instance where %(called)s in (id, name) and not deleting order by id

-- name: followers_among
-- Which of some instances are read replicas, and of which.
select id, replica_of from instance
where project_id = %(project_id)s and id = any(%(ids)s) and replica_of is not null

-- name: simplified_instances
select instance.*,
       coalesce((select json_agg(replica.id order by replica.created_at, replica.id) from instance as replica
                 where replica.replica_of = instance.id
                   and (not replica.deleting or replica.status in ('ACTIVE', 'BACKING UP'))), '[]') as replicas,
       coalesce((select json_agg(task.name) from instance_lock join task on task.id = instance_lock.task_id
                 where instance_lock.instance_id = instance.id), '[]') as actions
from instance
where project_id = %(project_id)s and id = any(%(ids)s)
  and (not deleting or status in ('ACTIVE', 'BACKING UP'))
order by created_at desc, id

-- name: statuses_of_project
select status, count(*)::integer as instances from instance
where project_id = %(project_id)s and (%(engine)s::text is null or engine = %(engine)s)
  and (not deleting or status in ('ACTIVE', 'BACKING UP'))
group by status

-- name: space_of_instance
-- What is on the volume of its primary, null before it was measured, and what its backups take.
select (select used_bytes from node where node.instance_id = instance.id and role in ('master', 'readreplica')) as used_bytes,
       (select coalesce(sum(size_kb), 0)::bigint from backup
        where backup.instance_id = instance.id and backup.status = 'COMPLETED') as backup_kb
from instance where id = %(id)s and project_id = %(project_id)s

-- name: deletions_of_replicas
-- The tasks that delete read replicas of an instance, each alone.
select task.id from instance join instance_lock on instance_lock.instance_id = instance.id
     join task on task.id = instance_lock.task_id
where instance.replica_of = %(id)s and instance.project_id = %(project_id)s
  and task.instance_id = instance.id and operation = 'delete_instance'
