-- The user of the operating system that the servers of an instance run as, where openrds is root: an id and no name.
-- A read replica has its primary's. It is given back when the instance and its backups are gone.
create table os_user (
    instance_id text primary key,
    host        text not null references host,
    -- Null, and not handed over, for an instance from before: it is the service's user's until its servers are at rest.
    uid         bigint,
    handed_over boolean not null default false,
    unique (host, uid)
);
insert into os_user (instance_id, host)
select instance.id, min(node.host) from instance join node on node.instance_id = instance.id
where replica_of is null group by instance.id;
