-- What engines other than PostgreSQL need to know of an instance.

-- The family's: an instance and its read replicas have the same. No caller hears of it.
alter table instance add column secret text not null default '';
-- What the creation fixed, by the engines' neutral names; what is not here is as the engine has it.
alter table instance add column options jsonb not null default '{}';
-- Whether the administrator may log in from everywhere, for an engine whose accounts have hosts.
alter table instance add column remote_access boolean not null default true;
-- Hours for which a server keeps log that is in the archive.
alter table instance add column log_retention_hours integer not null default 0;

-- A backup may outlive its instance, and its data stays as the creation fixed it.
alter table backup add column options jsonb not null default '{}';
