//! The examples of `--help`.

pub const TOOL: &str = "\
  # On the standby: keep the password, and see that it is the right one
  pg-pass set -h db1 -p 5432 -U replicator --password-file /root/secret
  pg-pass check -h db1 -p 5432 -U replicator";

pub const SET: &str = "\
  # It is asked for
  pg-pass set -h db1 -p 5432 -U replicator
  # From a password manager
  pg-pass set -h db1 -U replicator --password-command 'pass show pg/replicator'
  # By what the primary said of itself
  pg-pass set --input primary.json --password-file /root/secret";

pub const REMOVE: &str = "\
  pg-pass remove -h db1 -p 5432 -U replicator --check
  pg-pass remove -h db1 -p 5432 -U replicator";

pub const LIST: &str = "\
  pg-pass list
  pg-pass list --passfile /srv/pg/pgpass";

pub const CHECK: &str = "\
  pg-pass check -h db1 -p 5432 -U replicator
  # As the standby of a cluster would log in
  pg-pass check --input primary.json --owner postgres";
