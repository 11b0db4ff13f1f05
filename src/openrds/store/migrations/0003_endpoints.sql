-- Where clients reach an instance. A node may listen elsewhere; what comes to the endpoint is then passed on to it.
alter table instance add column address inet;
update instance set address = (select node.address from node where node.instance_id = instance.id);

-- The instance that a read replica copies.
alter table instance add column replica_of text references instance;
create index instance_of_primary on instance (replica_of) where replica_of is not null;

-- An address is held by an instance: as its endpoint, where `node_id` is null, or for one node of it.
alter table address add column instance_id text references instance on delete cascade;
update address set instance_id = (select node.instance_id from node where node.id = address.node_id), node_id = null;
alter table address alter column instance_id set not null, alter column node_id drop not null;
create index address_of_instance on address (instance_id);
