"""Which parameters of PostgreSQL a tenant may set.

None of them names a file, a folder or a program, loads anything but what `PRELOADED` lists, or changes what backups,
replication, logs and the service's own sessions rest on. A name that a version does not have is not offered there.
"""

#: Libraries that may be loaded when the server starts, so far as the host has them.
PRELOADED = ("pg_stat_statements", "auto_explain")

#: Of their parameters, those that say what is recorded.
_OF_LIBRARIES = """
pg_stat_statements.max pg_stat_statements.track pg_stat_statements.track_planning pg_stat_statements.track_utility
pg_stat_statements.save auto_explain.log_analyze auto_explain.log_buffers auto_explain.log_format
auto_explain.log_level auto_explain.log_min_duration auto_explain.log_nested_statements auto_explain.log_settings
auto_explain.log_timing auto_explain.log_triggers auto_explain.log_verbose auto_explain.log_wal
auto_explain.sample_rate
"""
_RESOURCES = """
shared_preload_libraries max_connections shared_buffers huge_pages temp_buffers work_mem hash_mem_multiplier
maintenance_work_mem autovacuum_work_mem logical_decoding_work_mem max_prepared_transactions
max_locks_per_transaction max_pred_locks_per_transaction max_pred_locks_per_page max_pred_locks_per_relation
max_worker_processes max_parallel_workers max_parallel_workers_per_gather max_parallel_maintenance_workers
parallel_leader_participation temp_file_limit effective_io_concurrency maintenance_io_concurrency
backend_flush_after bgwriter_delay bgwriter_flush_after bgwriter_lru_maxpages bgwriter_lru_multiplier
vacuum_cost_delay vacuum_cost_limit vacuum_cost_page_dirty vacuum_cost_page_hit vacuum_cost_page_miss
vacuum_buffer_usage_limit track_activity_query_size
"""
_LOG = """
wal_level wal_buffers wal_compression wal_writer_delay wal_writer_flush_after commit_delay commit_siblings
synchronous_commit checkpoint_timeout checkpoint_completion_target checkpoint_warning checkpoint_flush_after
max_wal_size min_wal_size max_replication_slots hot_standby_feedback max_standby_archive_delay
max_standby_streaming_delay max_logical_replication_workers max_sync_workers_per_subscription
"""
_PLANNER = """
enable_async_append enable_bitmapscan enable_gathermerge enable_group_by_reordering enable_hashagg enable_hashjoin
enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material enable_memoize enable_mergejoin
enable_nestloop enable_parallel_append enable_parallel_hash enable_partition_pruning enable_partitionwise_aggregate
enable_partitionwise_join enable_presorted_aggregate enable_seqscan enable_sort enable_tidscan
seq_page_cost random_page_cost cpu_tuple_cost cpu_index_tuple_cost cpu_operator_cost parallel_setup_cost
parallel_tuple_cost min_parallel_table_scan_size min_parallel_index_scan_size effective_cache_size
jit jit_above_cost jit_inline_above_cost jit_optimize_above_cost geqo geqo_threshold geqo_effort geqo_pool_size
geqo_generations geqo_selection_bias geqo_seed default_statistics_target constraint_exclusion cursor_tuple_fraction
from_collapse_limit join_collapse_limit plan_cache_mode recursive_worktable_factor compute_query_id
"""
_REPORTS = """
log_min_error_statement log_min_duration_statement log_min_duration_sample
log_statement_sample_rate log_transaction_sample_rate log_autovacuum_min_duration log_checkpoints log_connections
log_disconnections log_duration log_error_verbosity log_lock_waits log_parameter_max_length
log_parameter_max_length_on_error log_recovery_conflict_waits log_replication_commands log_statement log_temp_files
log_startup_progress_interval debug_pretty_print track_activities track_counts track_functions track_io_timing
track_wal_io_timing track_commit_timestamp
"""
_VACUUM = """
autovacuum autovacuum_max_workers autovacuum_naptime autovacuum_vacuum_threshold autovacuum_vacuum_insert_threshold
autovacuum_analyze_threshold autovacuum_vacuum_scale_factor autovacuum_vacuum_insert_scale_factor
autovacuum_analyze_scale_factor autovacuum_freeze_max_age autovacuum_multixact_freeze_max_age
autovacuum_vacuum_cost_delay autovacuum_vacuum_cost_limit vacuum_freeze_min_age vacuum_freeze_table_age
vacuum_multixact_freeze_min_age vacuum_multixact_freeze_table_age vacuum_failsafe_age vacuum_multixact_failsafe_age
"""
_SESSIONS = """
search_path datestyle intervalstyle bytea_output xmlbinary xmloption default_text_search_config
default_transaction_isolation default_transaction_deferrable statement_timeout lock_timeout
idle_in_transaction_session_timeout idle_session_timeout transaction_timeout gin_fuzzy_search_limit
gin_pending_list_limit deadlock_timeout authentication_timeout client_connection_check_interval
tcp_keepalives_idle tcp_keepalives_interval tcp_keepalives_count  array_nulls backslash_quote
escape_string_warning quote_all_identifiers synchronize_seqscans transform_null_equals
extra_float_digits default_toast_compression
"""

OFFERED = frozenset(
    " ".join((_OF_LIBRARIES, _RESOURCES, _LOG, _PLANNER, _REPORTS, _VACUUM, _SESSIONS)).split()
)

#: Shown, and not to be set: how the server was built, and what openrds keeps for everybody.
SHOWN = frozenset(
    (
        "server_version",
        "server_encoding",
        "block_size",
        "wal_block_size",
        "wal_segment_size",
        "max_identifier_length",
        "data_checksums",
        "integer_datetimes",
        "password_encryption",
        "fsync",
        "full_page_writes",
        "max_wal_senders",
        "superuser_reserved_connections",
        "archive_mode",
        "ssl",
    )
)

#: What would break the service's own work below, whatever the server allows.
LEAST = {
    "max_connections": 20,
    "max_replication_slots": 10,
    "max_worker_processes": 2,
    "authentication_timeout": 10,
    # It is twice a segment, and is only looked at by the next start.
    "min_wal_size": 32,
    "max_wal_size": 32,
}
#: Of some, fewer words are offered than the server knows.
CHOICES = {"wal_level": ("replica", "logical")}
