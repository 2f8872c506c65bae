//! The examples of `--help`.

pub const TOOL: &str = "\
  # What a primary needs, and the server made aware of it
  pg-conf set wal_level=replica wal_keep_size=8GB | pg-cluster restart
  # Where a setting comes from
  pg-conf get shared_buffers
  # Let a standby in
  pg-conf allow replicator --from 192.0.2.7 | pg-cluster reload";

pub const SET: &str = "\
  # What would change, with before and after
  pg-conf set work_mem=64MB --check --diff
  pg-conf set wal_level=replica wal_keep_size=8GB | pg-cluster restart
  # ALTER SYSTEM said otherwise: take that back
  pg-conf set max_connections=200 --override";

pub const UNSET: &str = "\
  pg-conf unset work_mem --check
  pg-conf unset work_mem maintenance_work_mem | pg-cluster reload";

pub const GET: &str = "\
  # All that the files set
  pg-conf get --cluster 17/main
  pg-conf get shared_buffers work_mem
  # What waits for a restart
  pg-conf get --output json | jq -r '.settings[] | select(.pending_restart).name'";

pub const CHECK: &str = "\
  pg-conf check --cluster 17/main
  # For cron
  pg-conf check -D /srv/pg/main --no-input --quiet";

pub const MATCH: &str = "\
  # On the standby, by what its primary said of itself
  pg-conf match --cluster 17/replica --input primary.json
  # Asked of the primary, with the replication role
  pg-conf match --cluster 17/replica -h db1 -U replicator --check";

pub const ALLOW: &str = "\
  # A standby
  pg-conf allow replicator --from 192.0.2.7 | pg-cluster reload
  # An application, from a network, by TLS only
  pg-conf allow app --from 192.0.2.0/24 --database shop --type hostssl
  # Past a reject on line 12
  pg-conf allow replicator --from 192.0.2.7 --before 12";

pub const DISALLOW: &str = "\
  pg-conf disallow replicator --from 192.0.2.7 --check
  pg-conf disallow replicator --from 192.0.2.7 | pg-cluster reload";

pub const RULES: &str = "\
  pg-conf rules --cluster 17/main
  pg-conf rules --output json | jq -r '.rules[].raw'";

pub const UNDO: &str = "\
  # Which changes are kept
  pg-conf undo --list
  # Take the last one back, and have the server know
  pg-conf undo | pg-cluster restart
  pg-conf undo --step 7 --check --diff";

pub const EXPLAIN: &str = "\
  # May this standby log in?
  pg-conf explain replicator 192.0.2.7
  pg-conf explain app 192.0.2.50 --database shop --ssl
  # By the Unix socket
  pg-conf explain postgres local --database postgres";
