-- What an instance is to be, whatever its status says that it is now: `serving`; `stopped`; or `gone`, while it is
-- being deleted and where nothing but that is left to do.
alter table instance add column wanted text not null default 'serving';
update instance set wanted = 'stopped'
where status = 'SHUTDOWN'
   or id in (select instance_lock.instance_id from instance_lock join task on task.id = instance_lock.task_id
             where task.operation = 'stop_instance');
update instance set wanted = 'gone' where deleting or status = 'CREATE FAIL';

-- Up to when the log that follows a backup is known to go on. Null: to this moment.
alter table backup add column reaches timestamptz;
