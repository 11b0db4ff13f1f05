-- Whether a backup that is being made is not wanted any more.
alter table backup add column stopping boolean not null default false;
