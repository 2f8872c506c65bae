//! The examples of `--help`.

pub const TOOL: &str = "\
  # On the primary: the role that standbys log in with
  pg-role ensure replicator --password-file /root/secret
  pg-role show replicator";

pub const ENSURE: &str = "\
  pg-role ensure replicator --password-file /root/secret
  # From a password manager
  pg-role ensure replicator --password-command 'pass show pg/replicator'
  # At most 4 connections, until the end of the year
  pg-role ensure replicator --connection-limit 4 --valid-until 2026-12-31";

pub const SHOW: &str = "\
  pg-role show replicator
  # Of a server elsewhere
  pg-role show replicator -h db1 -U postgres";

pub const DROP: &str = "\
  pg-role drop replicator --check
  pg-role drop replicator";
