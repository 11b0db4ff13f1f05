-- name: listen
listen openrds_changed

-- name: ask
-- Whether the connection lives.
select 1
