-- For how many days a project's deleted instances can be had back. Null is not at all.
alter table project add column recycle_days integer;

-- Backups of a deleted instance that is in the recycle bin. `recycled` is what is shown of the instance, on that backup
-- alone that has its last state; `retained_until` is when each of its automatic ones goes.
alter table backup add column recycled jsonb;
alter table backup add column deleted_at timestamptz;
alter table backup add column retained_until timestamptz;
create index backup_in_bin on backup (project_id, deleted_at desc, id) where recycled is not null;
create index backup_to_expire on backup (host, retained_until) where retained_until is not null;

-- Who keeps a copy of what the service is beside its instances is told when that changes.
create function tell_of_service() returns trigger language plpgsql as $$
begin
    notify openrds_changed, 'service service';
    return null;
end
$$;
create trigger tell_of_service after insert or update or delete on project
    for each statement execute function tell_of_service();
create trigger tell_of_service after insert or update or delete on account
    for each statement execute function tell_of_service();
create trigger tell_of_service after insert or update or delete on vpc
    for each statement execute function tell_of_service();
create trigger tell_of_service after insert or update or delete on subnet
    for each statement execute function tell_of_service();
create trigger tell_of_service after insert or update or delete on security_group
    for each statement execute function tell_of_service();
create trigger tell_of_service after insert or update or delete on security_group_rule
    for each statement execute function tell_of_service();
create trigger tell_of_service after insert or update or delete on configuration
    for each statement execute function tell_of_service();
