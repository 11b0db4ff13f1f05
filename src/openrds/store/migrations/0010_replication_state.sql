-- What was last seen of a follower: whether it streams, and how far it is behind. Null until it was looked at.
alter table node add column replication jsonb;
alter table node add column replication_seen_at timestamptz;
