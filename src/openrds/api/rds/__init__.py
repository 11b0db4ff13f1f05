"""The RDS v3 routes: instances, backups, replication, the catalogue and the task center."""
