-- name: vpcs
select * from vpc where project_id = %s order by created_at, id

-- name: hold_vpc
-- It is not deleted before the transaction ends.
select * from vpc where id = %(id)s and project_id = %(project_id)s for key share

-- name: lock_vpc
select * from vpc where id = %(id)s and project_id = %(project_id)s for update

-- name: insert_vpc
insert into vpc (id, project_id, name, description, cidr, enterprise_project_id)
values (%(id)s, %(project_id)s, %(name)s, %(description)s, %(cidr)s, %(enterprise_project_id)s)
returning *

-- name: set_vpc
update vpc set name = %(name)s, description = %(description)s, cidr = %(cidr)s, updated_at = now()
where id = %(id)s returning *

-- name: delete_vpc
delete from vpc where id = %s

-- name: users_of_vpc
-- What keeps it from being deleted.
select 'instance' as kind, id from instance where project_id = %(project_id)s and vpc_id = %(id)s
union all
select 'subnet', id from subnet where project_id = %(project_id)s and vpc_id = %(id)s
limit 1

-- name: subnets
select * from subnet where project_id = %s order by created_at, id

-- name: hold_subnet
select * from subnet where id = %(id)s and project_id = %(project_id)s for key share

-- name: lock_subnet
-- By its id, or by Neutron's.
select * from subnet where %(id)s in (id, neutron_subnet_id) and project_id = %(project_id)s for update

-- name: insert_subnet
insert into subnet (id, neutron_subnet_id, project_id, vpc_id, name, description, cidr, gateway_ip, dhcp_enable,
                    dns_list, availability_zone)
values (%(id)s, %(neutron_subnet_id)s, %(project_id)s, %(vpc_id)s, %(name)s, %(description)s, %(cidr)s, %(gateway_ip)s,
        %(dhcp_enable)s, %(dns_list)s, %(availability_zone)s)
returning *

-- name: set_subnet
update subnet set name = %(name)s, description = %(description)s, dhcp_enable = %(dhcp_enable)s,
                  dns_list = %(dns_list)s, cidr = %(cidr)s, gateway_ip = %(gateway_ip)s, vpc_id = %(vpc_id)s,
                  neutron_subnet_id = %(neutron_subnet_id)s, updated_at = now()
where id = %(id)s returning *

-- name: delete_subnet
delete from subnet where id = %s

-- name: users_of_subnet
select 'instance' as kind, id from instance where project_id = %(project_id)s and subnet_id = %(id)s limit 1

-- name: security_groups
select * from security_group where project_id = %s order by created_at, id

-- name: hold_security_group
select * from security_group where id = %(id)s and project_id = %(project_id)s for key share

-- name: lock_security_group
select * from security_group where id = %(id)s and project_id = %(project_id)s for update

-- name: insert_security_group
insert into security_group (id, project_id, name, description, enterprise_project_id)
values (%(id)s, %(project_id)s, %(name)s, %(description)s, %(enterprise_project_id)s)
returning *

-- name: set_security_group
update security_group set name = %(name)s, description = %(description)s, updated_at = now()
where id = %(id)s returning *

-- name: delete_security_group
with rules as (delete from security_group_rule where security_group_id = %(id)s)
delete from security_group where id = %(id)s

-- name: users_of_security_group
select 'instance' as kind, id from instance where project_id = %(project_id)s and security_group_id = %(id)s
union all
select 'rule', id from security_group_rule
where project_id = %(project_id)s and remote_group_id = %(id)s and security_group_id <> %(id)s
limit 1

-- name: security_group_rules
select * from security_group_rule where project_id = %s order by created_at, id

-- name: rules_of_security_group
select * from security_group_rule where security_group_id = %(id)s and project_id = %(project_id)s
order by created_at, id

-- name: insert_security_group_rule
insert into security_group_rule (id, project_id, security_group_id, direction, ethertype, protocol, ports,
                                 remote_ip_prefix, remote_group_id, action, priority, description)
values (%(id)s, %(project_id)s, %(security_group_id)s, %(direction)s, %(ethertype)s, %(protocol)s, %(ports)s,
        %(remote_ip_prefix)s, %(remote_group_id)s, %(action)s, %(priority)s, %(description)s)
returning *

-- name: delete_security_group_rule
delete from security_group_rule where id = %(id)s and project_id = %(project_id)s returning id

-- name: guarded_instances
-- Those of a host that are in a group which its project made: a default one keeps nobody out, and has no row.
-- `addresses` are all that they and their nodes hold.
select instance.security_group_id, instance.port, os_user.uid,
       array(select host(address.address) from address where address.instance_id = instance.id
             union select host(public_address.address) from public_address
             where public_address.instance_id = instance.id) as addresses
from node join instance on instance.id = node.instance_id
     join security_group on security_group.id = instance.security_group_id
     left join os_user on os_user.instance_id = coalesce(instance.replica_of, instance.id)
where node.host = %s
group by instance.id, os_user.uid

-- name: rules_of_groups
select * from security_group_rule where security_group_id = any(%s) order by id

-- name: addresses_of_groups
-- Where the instances in some groups of a project are.
select instance.security_group_id, array_agg(distinct held.address) as addresses
from instance, lateral (select host(address) as address from address
                        where address.instance_id = instance.id offset 0) as held
where instance.project_id = any(%(projects)s) and instance.security_group_id = any(%(groups)s)
group by instance.security_group_id
