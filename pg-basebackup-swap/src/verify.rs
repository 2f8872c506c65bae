//! The copy compared with the manifest that the primary made of it, by `pg_verifybackup`.
//!
//! What must always hold: it is the server's own program of the server's own version, run before anything in the copy
//! is changed; where nothing was compared, the document doesn't say that something was.

use crate::args::Verification;
use pg_runbook::cluster::{programs, version};
use pg_runbook::invocation::Invocation;
use pg_runbook::{Failure, Run};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// With this program.
    By(PathBuf),
    /// Nothing, for this reason.
    LeftOut(String),
    /// Nothing, although it was asked for, for this reason.
    Impossible(String),
}

/// How a copy was compared with its primary's manifest.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Verified {
    /// What was compared; null where nothing was.
    how: Option<How>,
    /// How long it took, in seconds.
    seconds: Option<f64>,
}

/// What of a copy was compared.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum How {
    /// Sizes and checksums.
    Full,
    /// Sizes.
    Sizes,
}

/// What can be compared of a copy of this major version.
#[must_use]
pub fn plan(major: u32, wanted: Verification) -> Plan {
    if wanted == Verification::None {
        return Plan::LeftOut("left out (--verify none)".into());
    }
    if !version::makes_manifests(major) {
        return Plan::LeftOut(format!("a primary of version {major} makes no manifest to compare with"));
    }
    programs::find_server(major, "pg_verifybackup").map_or_else(
        || Plan::Impossible(format!("pg_verifybackup of PostgreSQL {major} is not on this host")),
        Plan::By,
    )
}

/// Compares a copy with its manifest, and tells how long it took.
pub fn verify(run: &mut Run, major: u32, copy: &Path, wanted: Verification) -> Result<Verified, Failure> {
    let program = match plan(major, wanted) {
        Plan::By(program) => program,
        Plan::LeftOut(_) => return Ok(Verified { how: None, seconds: None }),
        Plan::Impossible(why) => {
            run.warn(format!("the copy was not verified: {why}"));
            return Ok(Verified { how: None, seconds: None });
        }
    };
    let begun = Instant::now();
    let only_sizes = wanted == Verification::Sizes;
    let invocation = Invocation::new(program).arg("--quiet");
    let invocation = if only_sizes { invocation.arg("--skip-checksums") } else { invocation };
    let invocation = invocation.arg(copy);
    let compared = invocation.outcome()?;
    if !compared.status.success() {
        let failure = invocation.failure(&compared);
        return Err(if differs(&compared.stderr) {
            failure
                .while_doing("the copy is not what the primary's manifest says; it was not installed")
                .hint("fetch it again; where it happens twice, look at this host's memory and disk: dmesg")
        } else {
            failure
                .while_doing("the copy could not be compared with the primary's manifest; it was not installed")
                .hint("mend what pg_verifybackup says; or leave it out: --verify none")
        });
    }
    Ok(Verified { how: Some(if only_sizes { How::Sizes } else { How::Full }), seconds: Some(rounded(begun)) })
}

/// Whether `pg_verifybackup` found a difference (`pg_verifybackup.c`), and did not only fail at its work.
fn differs(said: &str) -> bool {
    let words = [
        "is present on disk but not in the manifest",
        "is present in the manifest but not on disk",
        " on disk but size ",
        "checksum",
        " bytes, but read ",
        "manifest system identifier",
    ];
    words.iter().any(|words| said.contains(words))
}

impl Verified {
    /// For the line that people read.
    #[must_use]
    pub fn remark(&self) -> String {
        self.seconds.map_or_else(|| "not verified".into(), |seconds| format!("verified in {seconds:.1} s"))
    }
}

/// Seconds since then, in thousandths.
#[must_use]
pub fn rounded(begun: Instant) -> f64 {
    (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}
