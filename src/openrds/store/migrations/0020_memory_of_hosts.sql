-- How much memory a host has for instances, in MB; not known before its worker has started.
alter table host add column memory_mb integer;
