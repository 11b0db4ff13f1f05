-- What was read from end to end again and again: by the round that breaks off backups, and at the end of each task.
create index backup_to_stop on backup (host) where stopping and status = 'BUILDING';
create index instance_lock_of_task on instance_lock (task_id);
