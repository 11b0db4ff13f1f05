-- What the backups of a project take is asked for by callers.
create index backup_of_project on backup (project_id, instance_id);
