"""Which parameters of MySQL and MariaDB a tenant may set; one that a version does not have is not offered there.

None of them names a file, a folder, a program or an account, loads anything, or changes what backups, replication, the
binary log, durability and the service's own sessions rest on.
"""

_SESSIONS = """
autocommit automatic_sp_privileges auto_increment_increment auto_increment_offset character_set_server
collation_server completion_type concurrent_insert connect_timeout cte_max_recursion_depth default_week_format
div_precision_increment explicit_defaults_for_timestamp group_concat_max_len interactive_timeout lc_time_names
lock_wait_timeout low_priority_updates max_allowed_packet max_connect_errors max_connections max_error_count
max_execution_time max_points_in_geometry max_prepared_stmt_count max_sort_length max_sp_recursion_depth
max_statement_time max_write_lock_count net_buffer_length net_read_timeout net_retry_count net_write_timeout
idle_transaction_timeout idle_readonly_transaction_timeout idle_write_transaction_timeout
sql_mode sql_quote_show_create sql_require_primary_key transaction_isolation tx_isolation
updatable_views_with_limit wait_timeout windowing_use_high_precision block_encryption_mode
ft_max_word_len ft_min_word_len ft_query_expansion_limit ngram_token_size
"""
_MEMORY = """
binlog_cache_size binlog_stmt_cache_size bulk_insert_buffer_size join_buffer_size key_buffer_size
key_cache_age_threshold key_cache_block_size key_cache_division_limit max_heap_table_size myisam_sort_buffer_size
aria_pagecache_buffer_size aria_sort_buffer_size mrr_buffer_size histogram_generation_max_mem_size
performance_schema query_alloc_block_size query_prealloc_size range_alloc_block_size range_optimizer_max_mem_size
read_buffer_size read_rnd_buffer_size sort_buffer_size table_definition_cache table_open_cache
table_open_cache_instances thread_cache_size tmp_table_size tmp_memory_table_size temptable_max_ram
transaction_alloc_block_size transaction_prealloc_size query_cache_type query_cache_size query_cache_limit
query_cache_min_res_unit query_cache_strip_comments query_cache_wlock_invalidate join_cache_level
"""
_PLANNER = """
eq_range_index_dive_limit optimizer_prune_level optimizer_search_depth optimizer_switch optimizer_trace_max_mem_size
optimizer_use_condition_selectivity use_stat_tables histogram_size histogram_type analyze_sample_percentage
join_buffer_space_limit in_predicate_conversion_threshold max_seeks_for_key max_length_for_sort_data
internal_tmp_mem_storage_engine
"""
_REPORTS = """
slow_query_log long_query_time min_examined_row_limit log_queries_not_using_indexes
log_throttle_queries_not_using_indexes log_slow_admin_statements log_slow_extra log_slow_rate_limit
log_slow_verbosity log_slow_min_examined_row_limit
"""
_INNODB = """
innodb_adaptive_flushing innodb_adaptive_flushing_lwm innodb_adaptive_hash_index innodb_adaptive_hash_index_parts
innodb_autoextend_increment innodb_autoinc_lock_mode innodb_buffer_pool_instances innodb_buffer_pool_size
innodb_change_buffer_max_size innodb_change_buffering innodb_cmp_per_index_enabled innodb_commit_concurrency
innodb_compression_failure_threshold_pct innodb_compression_level innodb_compression_pad_pct_max
innodb_concurrency_tickets innodb_deadlock_detect innodb_default_row_format innodb_disable_sort_file_cache
innodb_flush_neighbors innodb_flushing_avg_loops innodb_ft_cache_size innodb_ft_enable_diag_print
innodb_ft_enable_stopword innodb_ft_max_token_size innodb_ft_min_token_size innodb_ft_num_word_optimize
innodb_ft_result_cache_limit innodb_ft_sort_pll_degree innodb_ft_total_cache_size innodb_io_capacity
innodb_io_capacity_max innodb_lock_wait_timeout innodb_log_buffer_size innodb_lru_scan_depth
innodb_max_dirty_pages_pct innodb_max_dirty_pages_pct_lwm innodb_max_purge_lag innodb_max_purge_lag_delay
innodb_old_blocks_pct innodb_old_blocks_time innodb_online_alter_log_max_size innodb_optimize_fulltext_only
innodb_parallel_read_threads innodb_print_all_deadlocks innodb_purge_batch_size innodb_purge_threads
innodb_random_read_ahead innodb_read_ahead_threshold innodb_read_io_threads innodb_replication_delay
innodb_rollback_on_timeout innodb_sort_buffer_size innodb_spin_wait_delay innodb_stats_auto_recalc
innodb_stats_include_delete_marked innodb_stats_method innodb_stats_on_metadata innodb_stats_persistent
innodb_stats_persistent_sample_pages innodb_stats_transient_sample_pages innodb_status_output_locks
innodb_strict_mode innodb_sync_spin_loops innodb_table_locks innodb_thread_concurrency innodb_thread_sleep_delay
innodb_write_io_threads
"""

OFFERED = frozenset(" ".join((_SESSIONS, _MEMORY, _PLANNER, _REPORTS, _INNODB)).split())

#: Shown, and not to be set: what the creation fixed, and what openrds keeps for everybody.
SHOWN = frozenset(
    (
        "version",
        "lower_case_table_names",
        "innodb_page_size",
        "innodb_flush_log_at_trx_commit",
        "sync_binlog",
        "binlog_format",
        "binlog_row_image",
        "gtid_mode",
        "gtid_strict_mode",
        "max_user_connections",
        "local_infile",
        "event_scheduler",
    )
)

#: What would break the service's own sessions below, whatever the server allows.
LEAST = {
    "max_connections": 20,
    "connect_timeout": 5,
    "max_allowed_packet": 2**20,
    "max_prepared_stmt_count": 100,
    "net_read_timeout": 10,
    "net_write_timeout": 10,
    "max_sort_length": 64,
    "table_open_cache": 64,
    "table_definition_cache": 400,
    "innodb_buffer_pool_size": 32 * 2**20,
}
#: Nor above these: each takes a thread, or a file, of the host.
MOST = {
    "innodb_buffer_pool_instances": 16,
    "innodb_ft_sort_pll_degree": 16,
    "innodb_parallel_read_threads": 64,
    "innodb_purge_threads": 16,
    "innodb_read_io_threads": 16,
    "innodb_write_io_threads": 16,
}


def bounds(name: str, low: str, high: str) -> tuple[str, str]:
    """Between which a number may be, of what the server says."""
    least, most = LEAST.get(name), MOST.get(name)
    return (
        str(max(int(low), least)) if least is not None else low,
        str(min(int(high), most)) if most is not None else high,
    )
