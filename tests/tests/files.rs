//! Files in the manner of real ones, read by a real server and by us: what it sees in them is what we see.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

mod files {
    pub mod access;
    pub mod scene;
    pub mod settings;
}

use files::{access, settings};
use tests::on_each_major;

on_each_major!(
    the_server_sees_the_assignments_that_we_see,
    the_server_sees_the_rules_that_we_see,
    includes_are_followed_as_far_as_the_server_follows_them,
    what_the_sample_comments_out_is_put_right_behind_it,
    what_was_edited_reads_to_the_server_as_it_does_to_us,
    settings_of_any_kind_are_to_the_server_what_they_are_to_us,
    rules_of_any_kind_are_to_the_server_what_they_are_to_us,
);

use access::{rules_of_any_kind_are_to_the_server_what_they_are_to_us, the_server_sees_the_rules_that_we_see};
use settings::{
    includes_are_followed_as_far_as_the_server_follows_them,
    settings_of_any_kind_are_to_the_server_what_they_are_to_us, the_server_sees_the_assignments_that_we_see,
    what_the_sample_comments_out_is_put_right_behind_it, what_was_edited_reads_to_the_server_as_it_does_to_us,
};
