-- Whether an instance gets newer minor versions by itself, in its maintenance window.
alter table instance add column auto_upgrade boolean not null default false;
