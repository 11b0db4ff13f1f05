-- Each step is of a node; those that were planned before are of the primary.

alter table step add column node_id text not null default '';
update step set node_id = node.id
from task join node on node.instance_id = task.instance_id and node.role <> 'slave'
where task.id = step.task_id;
