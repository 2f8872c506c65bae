//! The examples of `--help`.

pub const TOOL: &str = "\
  # Which clusters there are, and how one of them is
  pg-cluster list
  pg-cluster status --cluster 17/main
  # Change a setting, and have the server do what that needs
  pg-conf set --cluster 17/main wal_level=replica | pg-cluster restart";

pub const LIST: &str = "\
  pg-cluster list
  # The data directories, for a script
  pg-cluster list --output json | jq -r '.clusters[].data_directory'";

pub const STATUS: &str = "\
  pg-cluster status --cluster 17/main
  # Drawn anew every 5 seconds, until Ctrl-C
  pg-cluster status --watch 5
  # For a timer: exit code 1 unless replication is as it should be
  pg-cluster status -D /srv/pg/standby --max-lag 64MB --no-input --quiet";

pub const REQUIRE: &str = "\
  # What is missing, if anything
  pg-cluster require --pg-version 17
  # As root on Debian: install it
  pg-cluster require --pg-version 17 --install";

pub const CREATE: &str = "\
  # A Debian cluster, to become a standby
  pg-cluster create 17/replica -p 5434
  # A plain data directory
  pg-cluster create --layout plain -D /srv/pg/main --pg-version 17 -k";

pub const DROP: &str = "\
  # Look first
  pg-cluster drop 17/main --check
  pg-cluster drop 17/main
  # Although it holds data: its system identifier (see status) says that it is meant
  pg-cluster drop 17/old --force 7301234567890123456";

pub const START: &str = "\
  pg-cluster start --cluster 17/main
  # A large one, which recovers for a while
  pg-cluster start -D /srv/pg/main --timeout 600";

pub const STOP: &str = "\
  pg-cluster stop --cluster 17/main
  # Let clients finish
  pg-cluster stop --cluster 17/main -m smart --timeout 300";

pub const RESTART: &str = "\
  # Would it come back? Nothing is restarted
  pg-cluster restart --cluster 17/main --check
  pg-cluster restart --cluster 17/main
  # Only as much as the change needs: nothing, a reload or a restart
  pg-conf set work_mem=64MB | pg-cluster restart";

pub const RELOAD: &str = "\
  pg-cluster reload --cluster 17/main
  pg-conf allow replicator --from 192.0.2.7 | pg-cluster reload";

pub const PROMOTE: &str = "\
  # How far behind it is, before
  pg-cluster status --cluster 17/replica
  pg-cluster promote --cluster 17/replica";

pub const WAIT: &str = "\
  # After a start: until it answers
  pg-cluster wait --cluster 17/main
  # A standby, until it streams, at most 2 minutes
  pg-cluster wait --cluster 17/replica --for streaming --timeout 120
  # Before a switch-over
  pg-cluster wait --cluster 17/replica --for caught-up";

pub const ADVERTISE: &str = "\
  # Write down what a standby must know of this primary
  pg-cluster advertise --cluster 17/main --host db1 --role replicator > primary.json
  # With a slot, over TLS only
  pg-cluster advertise --host db1.example.com --role replicator --slot db2 --sslmode verify-full";
