-- name: insert_samples
-- Once a minute, however often it is tried; none of a node that is gone by now.
insert into node_sample
select sample.node_id, sample.instance_id, date_trunc('minute', now()), sample.cpu_seconds, sample.memory_bytes,
       sample.volume_bytes, sample.volume_used_bytes, sample.connections_active, sample.connections_idle,
       sample.connections_idle_in_transaction, sample.transactions, sample.cache_hits, sample.cache_reads,
       sample.lag_bytes, sample.lag_seconds, sample.backup_age_seconds
from jsonb_populate_recordset(null::node_sample, %s) as sample join node on node.id = sample.node_id
on conflict do nothing

-- name: backup_ages
-- Of instances, in seconds, from when their last whole backup was begun.
select instance_id, extract(epoch from now() - max(begin_time))::double precision as age
from backup where instance_id = any(%s) and status = 'COMPLETED' group by instance_id

-- name: insert_close_samples
-- At the moment that was to be measured; none of a node that is gone by now.
insert into node_close_sample
select sample.node_id, sample.instance_id, %s, sample.cpu_seconds, sample.memory_bytes,
       sample.volume_bytes, sample.volume_used_bytes, sample.connections_active, sample.connections_idle,
       sample.connections_idle_in_transaction, sample.transactions, sample.cache_hits, sample.cache_reads,
       sample.lag_bytes, sample.lag_seconds, sample.backup_age_seconds
from jsonb_populate_recordset(null::node_close_sample, %s) as sample join node on node.id = sample.node_id
on conflict do nothing

-- name: samples_of_instance
select * from node_sample
where node_id = any(select node.id from node where node.instance_id = %(instance_id)s)
  and at >= %(since)s and at <= %(until)s
order by at, node_id limit %(limit)s

-- name: close_samples_of_instance
select * from node_close_sample
where node_id = any(select node.id from node where node.instance_id = %(instance_id)s)
  and at >= %(since)s and at <= %(until)s
order by at, node_id limit %(limit)s

-- name: latest_samples
-- Of each node the last, of the last minutes.
select sample.*, instance.name, instance.engine, instance.project_id, node.role
from node join instance on instance.id = node.instance_id
cross join lateral (
    (select * from node_sample where node_sample.node_id = node.id and at > now() - interval '3 minutes'
     order by at desc limit 1)
    union all
    (select * from node_close_sample where node_close_sample.node_id = node.id and at > now() - interval '3 minutes'
     order by at desc limit 1)
    order by at desc limit 1
) as sample
order by node.id

-- name: delete_expired
delete from node_sample where at < now() - %s

-- name: delete_expired_close
delete from node_close_sample where at < now() - %s
