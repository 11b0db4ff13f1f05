-- name: claim
insert into answer (key, request_hash, expires_at) values (%(key)s, %(request_hash)s, now() + %(life)s)
on conflict (key) do update set key = answer.key
returning request_hash, status, body, (xmax = 0) as first

-- name: record
update answer set status = %(status)s, body = %(body)s where key = any(%(keys)s)

-- name: delete_expired
delete from answer where expires_at < now()
