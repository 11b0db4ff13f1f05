-- What is outside of the machine, in the backup repository. docs/decisions/0039 says how.

-- At most one, the one that is written to. Whoever finds another service there does not write.
create table repository (
    address    text primary key,
    service    text not null,
    checked_at timestamptz,                 -- when it was last reached
    problem    text not null default ''     -- why it cannot be written to
);

alter table backup add column outside text not null default 'no';    -- no, sending, whole; found, by a restored service
create index backup_to_send on backup (host, outside) where status = 'COMPLETED' and outside <> 'whole';

-- Of what objects a backup is made there: their names below that of the backup, and their sizes. Apart, for there may be
-- very many, which no list of backups asks for.
create table backup_outside (
    backup_id text primary key references backup on delete cascade,
    names     text[] not null,
    kb        integer[] not null
);

-- Up to when all of an instance's archived log is outside. The generation is that of its archive.
create table log_outside (
    instance_id text primary key references instance on delete cascade,
    generation  text not null,
    reached_at  timestamptz not null
);

create trigger tell_of_new_log_outside after insert on log_outside
    for each row execute function tell_of_change('backup', 'instance_id');
create trigger tell_of_other_log_outside after update on log_outside
    for each row when (old.generation <> new.generation) execute function tell_of_change('backup', 'instance_id');

-- What is to be removed there: a backup, or the log where none is named.
create table repository_removal (
    instance_id text not null,
    backup_id   text not null default '',
    primary key (instance_id, backup_id)
);

create function note_what_is_outside_of_a_backup() returns trigger language plpgsql as $$
begin
    insert into repository_removal (instance_id, backup_id) values (old.instance_id, old.id) on conflict do nothing;
    return null;
end
$$;
create trigger note_what_is_outside after delete on backup for each row when (old.outside <> 'no')
    execute function note_what_is_outside_of_a_backup();

create function note_what_is_outside_of_an_instance() returns trigger language plpgsql as $$
begin
    insert into repository_removal (instance_id) select old.id from repository on conflict do nothing;
    return null;
end
$$;
create trigger note_what_is_outside after delete on instance for each row
    execute function note_what_is_outside_of_an_instance();
