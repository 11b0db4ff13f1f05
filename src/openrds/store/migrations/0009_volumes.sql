-- Whether a volume of the instance is full: its servers are read-only then, and at rest it is STORAGE FULL.
alter table instance add column storage_full boolean not null default false;

-- What is on the node's volume, in bytes, when it was last measured; null before it first was.
alter table node add column used_bytes bigint;
