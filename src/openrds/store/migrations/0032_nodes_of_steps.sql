-- Each step is of a node. Those of tasks that run were planned once for all nodes: what is now done to each node by
-- itself is planned for the others too, and is as far with them.

alter table step add column node_id text not null default '';

update step set position = position * 100,
                node_id = coalesce(task.parameters ->> 'standby_id', node.id)
from task join node on node.instance_id = task.instance_id and node.role <> 'slave'
where task.id = step.task_id;

insert into step (task_id, position, name, node_id, host, status, attempts, expected, output, error, started_at, ended_at)
select step.task_id, step.position + other.number, step.name, other.id, other.host, step.status, step.attempts,
       step.expected, step.output, step.error, step.started_at, step.ended_at
from step
join task on task.id = step.task_id
cross join lateral (
    select node.id, node.host, row_number() over (order by node.instance_id <> task.instance_id, node.id) as number
    from node join instance on instance.id = node.instance_id
    where node.id <> step.node_id
      and (instance.id = task.instance_id
           or task.operation = 'delete_instance' and instance.replica_of = task.instance_id)
) as other
where task.operation <> 'single_to_ha'
  and step.name in ('allocate address', 'create volume', 'grow volume', 'stop server', 'remove volume');
