//! Which scenario shows each row of docs/when-it-says-no.md.

/// The table's rows, and the scenarios that show them.
pub const SHOWN_BY: &[(&str, &[&str])] = &[
    ("a setting that PostgreSQL doesn't know", &["settings::what_the_server_would_not_take_is_not_written"]),
    ("a value that the server's own parser refuses", &["settings::what_the_server_would_not_take_is_not_written"]),
    (
        "a setting that `ALTER SYSTEM` or the command line overrides",
        &["overrides::alter_system_is_not_written_over", "overrides::a_value_on_the_command_line_is_not_written_under"],
    ),
    (
        "a bound that a standby would not start with",
        &["bounds::bounds_are_changed_in_the_order_that_primary_and_standbys_need"],
    ),
    ("an address that is none, such as `192.0.2.0/40`", &["access::addresses_that_are_none_are_refused"]),
    (
        "an earlier `reject` rule that would win",
        &[
            "access::an_earlier_reject_is_respected_and_named",
            "letting_in::the_hint_of_a_reject_puts_the_rule_before_it_and_disallow_takes_it_out",
        ],
    ),
    (
        "a line before which the rule would not win either",
        &["letting_in::a_place_where_the_rule_would_not_win_is_refused"],
    ),
    ("a rule that the server would not load", &["letting_in::what_the_server_would_not_load_is_never_installed"]),
    ("a host name without an address", &["explain::host_names_and_networks_are_explained_address_by_address"]),
    ("a change that somebody else edited since", &["undo::a_file_that_somebody_else_edited_is_not_overwritten"]),
    (
        "a configuration file that the server can't load",
        &["serving::reload_of_a_broken_file_fails_and_names_file_and_line"],
    ),
    (
        "a configuration that would not start",
        &["restart_safety::what_would_surely_not_start_is_refused_while_the_server_runs"],
    ),
    (
        "a server that does not come back",
        &[
            "restart_safety::a_library_that_is_not_there_is_taken_back",
            "debian_layout::a_debian_cluster_goes_through_its_life",
        ],
    ),
    (
        "a `--password-command` that fails",
        &[
            "hosts/secrets::what_a_password_manager_does_not_give_is_told_with_what_to_type",
            "hosts/secrets::a_password_manager_is_asked_as_who_runs_the_tool_and_a_pipe_brings_what_is_somebody_elses",
        ],
    ),
    (
        "a `--password-command` that prints nothing",
        &["hosts/secrets::what_a_password_manager_does_not_give_is_told_with_what_to_type"],
    ),
    ("a `.pgpass` that others can read", &["passwords::a_file_that_others_can_read_is_told_and_mended"]),
    (
        "a wrong password",
        &[
            "passwords::a_wrong_password_says_how_to_set_it",
            "reclone::wrong_password_slot_and_address_leave_everything_as_it_was",
        ],
    ),
    (
        "no rule lets the login in",
        &[
            "passwords::a_login_without_a_rule_says_which_rule_to_add",
            "says_no::a_copy_that_no_rule_lets_in_says_which_rule_to_add",
        ],
    ),
    (
        "nobody answers at the primary's address",
        &[
            "passwords::an_address_without_an_answer_is_worth_a_retry",
            "hosts/topologies::who_listens_on_localhost_only_is_told_so_and_so_is_the_standby",
            "reclone::wrong_password_slot_and_address_leave_everything_as_it_was",
        ],
    ),
    (
        "no root certificate for `verify-ca`, `verify-full`",
        &[
            "hosts/encrypted::nobody_is_believed_without_an_authority",
            "hosts/encrypted::the_tools_own_connections_do_too",
        ],
    ),
    (
        "a certificate of another authority",
        &[
            "hosts/encrypted::nobody_is_believed_without_an_authority",
            "hosts/encrypted::the_tools_own_connections_do_too",
        ],
    ),
    (
        "a certificate for another name, with `verify-full`",
        &["hosts/encrypted::each_mode_believes_what_it_should", "hosts/encrypted::the_tools_own_connections_do_too"],
    ),
    (
        "a login without TLS, where no rule lets it in so",
        &["hosts/encrypted::each_mode_believes_what_it_should", "hosts/encrypted::the_tools_own_connections_do_too"],
    ),
    ("a port that is in use", &["making_and_dropping::create_refuses_a_port_that_is_taken"]),
    (
        "a folder that is not empty and no data directory",
        &["making_and_dropping::create_refuses_a_folder_that_holds_something_else"],
    ),
    (
        "a folder that is no data directory",
        &[
            "documents::a_folder_that_is_no_data_directory_is_told_so",
            "says_no::a_folder_that_is_no_data_directory_is_told_so_by_every_tool",
        ],
    ),
    ("a cluster that does not exist", &["says_no::a_cluster_that_does_not_exist_is_told_by_every_tool"]),
    ("several clusters, and none named", &["says_no::several_clusters_and_none_named_lists_them_whatever_the_tool"]),
    (
        "a version whose programs are missing",
        &["making_and_dropping::create_of_a_version_without_programs_says_how_to_get_them"],
    ),
    (
        "a standby below its primary's bounds",
        &["runbook::the_wikis_standby_starts_only_with_the_primarys_bounds_on_10"],
    ),
    ("the same, while the standby runs", &["reclone::a_running_standby_below_the_bounds_is_refused"]),
    (
        "a cluster that runs, or holds user data",
        &["making_and_dropping::drop_refuses_what_runs_or_holds_user_data_unless_its_identifier_is_given"],
    ),
    (
        "a mount point in which old directories are kept",
        &["mount_points::a_cluster_that_keeps_something_inside_is_not_dropped"],
    ),
    ("a cluster of another system, with data", &["reclone::another_systems_data_is_refused_unless_it_is_named"]),
    ("a primary of the very same system that runs", &["reclone::a_running_primary_of_the_same_system_is_refused"]),
    (
        "a write-ahead log that is itself a mount point, or can't be renamed",
        &[
            "keeping_places::a_write_ahead_log_that_can_not_move_is_refused_with_the_way_out",
            "keeping_places::a_write_ahead_log_in_a_folder_of_roots_keeps_its_place",
        ],
    ),
    (
        "a mount point inside the data directory",
        &["says_no::a_mount_inside_the_data_directory_is_refused_before_anything_is_copied"],
    ),
    (
        "a recovery target, or a trigger file that exists",
        &["hard_ground::settings_that_end_recovery_are_refused_before_anything_is_touched"],
    ),
    (
        "a recovery to a point in time (`recovery.signal`)",
        &["hard_ground::a_recovery_to_a_point_in_time_is_no_standby"],
    ),
    (
        "a running standby without its signal file",
        &["hard_ground::a_running_standby_without_its_signal_is_told_to_put_it_back"],
    ),
    ("a standby that is to copy itself", &["hard_ground::a_cluster_is_not_made_a_copy_of_itself"]),
    (
        "a folder above that the owner can't write to",
        &["hard_ground::a_folder_that_root_owns_is_good_enough_for_root_and_refused_to_the_owner"],
    ),
    (
        "a stop that takes longer than `--timeout`",
        &["hard_ground::a_server_that_does_not_stop_in_time_is_told_with_the_way_out"],
    ),
    (
        "an exchange by renames that was cut off",
        &["hard_ground::an_exchange_by_renames_that_was_cut_off_loses_nothing"],
    ),
    (
        "an exchange in a mount point that was cut off",
        &["mount_points::a_link_to_a_mount_point_that_was_cut_off_is_ended_by_its_name"],
    ),
    (
        "an exchange that was cut off, its directories moved since",
        &["cut_off::a_journal_of_directories_that_were_moved_is_refused_and_named"],
    ),
    (
        "an exchange that was cut off, with what is no standby in place",
        &["cut_off::a_start_never_makes_a_primary_of_what_was_to_be_a_standby"],
    ),
    (
        "an exchange that was cut off while tablespaces changed places",
        &["keeping_places::a_swap_killed_at_any_call_leaves_each_directory_its_own"],
    ),
    ("a rollback without an old directory", &["rollback::what_a_rollback_must_not_put_back_is_refused"]),
    (
        "a rollback to what would be a primary, or of another system",
        &["rollback::what_a_rollback_must_not_put_back_is_refused"],
    ),
    ("a rollback of a standby that was promoted", &["rollback::what_a_rollback_must_not_put_back_is_refused"]),
    (
        "an old directory that doesn't start any more",
        &["rollback::a_rollback_that_does_not_start_leaves_the_present_directory_serving"],
    ),
    ("letting old directories go while the server is down", &["rollback::nothing_is_let_go_while_nobody_is_served"]),
    (
        "too little room for two copies",
        &[
            "says_no::too_little_room_is_refused_with_both_numbers",
            "preflight::a_disk_that_is_too_small_is_known_beforehand_where_the_role_may_ask",
        ],
    ),
    (
        "a disk for the WAL alone that can't hold two segments",
        &[
            "preflight::a_disk_for_the_write_ahead_log_alone_has_to_hold_two_segments",
            "mid_copy::a_disk_for_the_write_ahead_log_that_fills_up_meanwhile_is_named",
        ],
    ),
    (
        "tablespaces elsewhere whose sizes nobody tells, with `--space replace`",
        &["space::old_data_is_not_given_up_where_a_tablespaces_size_is_not_known"],
    ),
    (
        "a server that `pg_ctl` could not start again",
        &["preflight::a_server_that_could_not_be_started_again_is_known_before_anything_is_copied"],
    ),
    ("old directories that are kept, with `--space replace`", &["space::old_data_is_given_up_for_a_copy_that_streams"]),
    (
        "a directory whose data was given up, and no copy yet",
        &["space::a_copy_that_is_cut_off_leaves_what_the_next_run_ends"],
    ),
    (
        "`--config primary` where the configuration lies outside",
        &["hard_ground::a_configuration_outside_the_data_directory_stays_the_standbys_own"],
    ),
    (
        "a replication slot that doesn't exist (15 and later can tell)",
        &["reclone::wrong_password_slot_and_address_leave_everything_as_it_was"],
    ),
    (
        "too few free walsenders or replication slots",
        &[
            "preflight::too_few_walsenders_are_found_before_anything_is_copied",
            "preflight::no_free_replication_slot_is_found_before_anything_is_copied",
        ],
    ),
    ("a role on a standby", &["hosts/topologies::roles_come_from_the_primary"]),
    (
        "a standby that is ahead of the primary named",
        &["preflight::a_standby_that_is_ahead_of_the_primary_is_not_replaced"],
    ),
    (
        "a folder for the copy's WAL or tablespace that is not empty",
        &[
            "preflight::an_old_copys_folders_do_not_stand_in_the_way_and_the_old_servers_do",
            "fetching::a_tablespace_goes_where_it_is_mapped_and_a_copy_cut_off_leaves_nothing_there",
        ],
    ),
    ("compression that the primary is too old for", &["fetching::compression_is_the_primarys_or_refused"]),
    ("a copy from before a tablespace was made", &["keeping_places::a_copy_from_before_a_tablespace_is_not_installed"]),
    (
        "two directories that lead to one tablespace",
        &["keeping_places::an_old_directory_that_leads_to_the_present_ones_folder_is_not_put_back"],
    ),
    (
        "several of these at once",
        &[
            "preflight::everything_that_stands_in_the_way_is_told_at_once",
            "preflight::a_primary_that_does_not_answer_hides_nothing_that_is_wrong_here",
        ],
    ),
    ("a rate, method, mapping or slot name that can't be", &["fetching::what_cannot_be_right_is_a_usage_error"]),
    (
        "a network or a primary that fails while a copy comes",
        &[
            "mid_copy::a_network_that_breaks_fails_the_copy_and_leaves_nothing",
            "mid_copy::a_primary_that_restarts_fails_the_copy_and_leaves_nothing",
        ],
    ),
    (
        "a copy that is not what the primary's manifest says",
        &["fetching::a_copy_that_is_not_what_the_manifest_says_is_not_kept"],
    ),
    (
        "a copy that doesn't start or stream while it catches up",
        &[
            "catching_up::a_copy_that_does_not_stream_is_found_out_while_the_old_one_serves",
            "catching_up::a_copy_whose_log_is_gone_is_found_out_while_the_old_one_serves",
        ],
    ),
    (
        "a primary that can't be reached while a copy catches up",
        &["hosts/faults::a_network_that_is_cut_at_any_stage_ends_it_in_time_and_once_healed_the_same_goes_through"],
    ),
    (
        "a copy that doesn't stream once installed",
        &["reclone::a_copy_that_does_not_stream_gives_way_to_the_old_directory"],
    ),
    (
        "a standby that doesn't stream",
        &[
            "hosts/faults::a_network_that_is_cut_at_any_stage_ends_it_in_time_and_once_healed_the_same_goes_through",
            "hosts/faults::a_password_that_is_wrong_at_any_stage_is_told_with_the_way_out_and_seen_nowhere",
        ],
    ),
    (
        "a standby that is down, silent or further behind than `--max-lag`",
        &["lag::a_standby_that_is_too_far_behind_or_does_not_stream_fails_the_check"],
    ),
    (
        "a primary that no standby follows, such as a standby that was promoted, with `--max-lag`",
        &["lag::a_standby_that_is_too_far_behind_or_does_not_stream_fails_the_check"],
    ),
    (
        "a server that lets a login in and then says nothing",
        &["interrupted::a_server_that_lets_in_and_says_nothing_is_given_up"],
    ),
    ("a document from another host", &["says_no::a_document_of_another_host_is_refused_by_every_tool"]),
    ("truncated JSON, a second document, another schema", &["says_no::what_is_no_document_is_refused_by_every_tool"]),
    (
        "an empty pipe",
        &[
            "documents::an_empty_pipe_is_refused_where_a_server_would_be_disturbed",
            "says_no::an_empty_pipe_replaces_and_drops_nothing",
        ],
    ),
    ("a document that says `failed`", &["says_no::a_failed_upstream_stops_every_tool"]),
    (
        "another tool works on the cluster for longer than `--lock-timeout`",
        &["says_no::whoever_changes_something_waits_for_the_lock_no_longer_than_told"],
    ),
    (
        "standard output is closed, or its disk is full",
        &[
            "documents::a_document_that_can_not_be_written_is_a_failure",
            "says_no::what_was_done_is_said_where_stdout_is_closed",
        ],
    ),
];
