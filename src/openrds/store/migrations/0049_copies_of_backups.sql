-- Read replicas of a lost service that are to be made anew, and addresses that they had.
create index replica_to_remake on instance (replica_of) where replica_of is not null and status = 'BUILD';
create index public_address_to_bind on public_address (instance_id) where not bound;

-- The second place, to which all that is in the backup repository is copied. docs/decisions/0047 says how.

-- At most one, the one that is written to. The service is the one that its mark says.
create table repository_copy (
    address    text primary key,
    service    text not null,
    adopted_at timestamptz not null default now(),
    problem    text not null default ''     -- why it cannot be written to
);

-- Of records, backups and log: what was in the repository by then is in the copy.
create table copy_reached (
    kind       text primary key,
    reached_at timestamptz not null
);

alter table backup add column copied boolean not null default false;
create index backup_to_copy on backup (host, end_time) where status = 'COMPLETED' and outside <> 'no' and not copied;

-- Of which log some is there. The generation is that of the instance's archive.
create table log_copied (
    instance_id text primary key references instance on delete cascade,
    generation  text not null
);

create trigger tell_of_copied_log after insert on log_copied
    for each row execute function tell_of_change('backup', 'instance_id');
create trigger tell_of_other_copied_log after update on log_copied
    for each row when (old.generation <> new.generation) execute function tell_of_change('backup', 'instance_id');

-- What is unwanted there, by the prefix of its objects, and since when. It stays for a while: `needed_from` is from when
-- on the log of its instance is of use as long.
create table copy_removal (
    prefix      text primary key,
    instance_id text not null,
    noted_at    timestamptz not null default now(),
    needed_from timestamptz
);
create index copy_removal_of_instance on copy_removal (instance_id);
create trigger tell_of_removal_of_copy after delete on copy_removal
    for each row execute function tell_of_change('backup', 'instance_id');

create function note_what_is_copied_of_a_backup() returns trigger language plpgsql as $$
begin
    insert into copy_removal (prefix, instance_id, needed_from)
    select 'instances/' || old.instance_id || '/backups/' || old.id, old.instance_id, old.begin_time from repository_copy
    on conflict do nothing;
    return null;
end
$$;
create trigger note_what_is_copied after delete on backup for each row when (old.outside <> 'no' or old.copied)
    execute function note_what_is_copied_of_a_backup();
