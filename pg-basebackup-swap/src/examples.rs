//! The examples of `--help`.

pub const TOOL: &str = "\
  # On the primary: write down what a standby must know
  pg-cluster advertise --host db1 --role replicator > primary.json
  # On the standby: what stands in the way of a new copy, then the copy
  pg-basebackup-swap run --force -D /srv/pg/standby --input primary.json --check
  pg-basebackup-swap run --force -D /srv/pg/standby --input primary.json";

pub const RUN: &str = "\
  # What stands in the way, how large it is and for how long nobody is served
  pg-basebackup-swap run --force -D /srv/pg/standby --input primary.json --check
  pg-basebackup-swap run --force -D /srv/pg/standby --input primary.json
  # Keep the old directory for a day; over a slow link, not faster than 20 MB/s
  pg-basebackup-swap run --force --cluster 17/replica --keep-for 24h -r 20M -Z zstd:1 --input primary.json
  # A disk that can't hold two copies: nobody is served meanwhile
  pg-basebackup-swap run --force --cluster 17/replica --space replace --input primary.json";

pub const FETCH: &str = "\
  # In the daytime: the old standby serves on
  pg-basebackup-swap fetch --cluster 17/replica --input primary.json
  # At night
  pg-basebackup-swap swap --cluster 17/replica --input primary.json";

pub const SWAP: &str = "\
  pg-basebackup-swap swap --cluster 17/replica --input primary.json --check
  pg-basebackup-swap swap --cluster 17/replica --input primary.json --keep-for 24h";

pub const ROLLBACK: &str = "\
  pg-basebackup-swap rollback --cluster 17/replica --check
  pg-basebackup-swap rollback --cluster 17/replica";

pub const COMMIT: &str = "\
  # What lies there, and how large it is
  pg-basebackup-swap status --cluster 17/replica
  pg-basebackup-swap commit --cluster 17/replica
  # Only what is older than a week
  pg-basebackup-swap commit --cluster 17/replica --keep-for 7days";

pub const STATUS: &str = "\
  pg-basebackup-swap status --cluster 17/replica
  pg-basebackup-swap status -D /srv/pg/standby --output json | jq '.directories'";
