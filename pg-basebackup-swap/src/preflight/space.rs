//! Whether each file system has room for what goes there.

use crate::args::Space;
use crate::findings::Findings;
use crate::inspect::Situation;
use crate::places::Places;
use crate::room::{Disk, Part, What, megabytes};
use crate::size::{Size, Teller};
use crate::source::Source;
use pg_runbook::{Cluster, Failure, GivenUp, Run};
use schemars::JsonSchema;
use serde::Serialize;

/// How large a copy will be, as the document has it under `copy`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CopySizes")]
pub struct Sizes {
    /// All of it in bytes, without its write-ahead log; null where nobody tells.
    bytes: Option<u64>,
    /// Whose word that is.
    told_by: Option<Teller>,
    /// Each file system that a part of it goes to.
    disks: Vec<Disk>,
}

/// Looks at all of them; the parts of a copy know then what is known of each.
pub(super) fn look(
    run: &mut Run,
    findings: &mut Findings,
    cluster: &Cluster,
    places: &Places,
    situation: &Situation,
    parts: &mut [Part],
    size: Option<&Size>,
) {
    let source = situation.source.as_ref().ok();
    if let Some(wal) = parts.iter_mut().find(|part| part.what == What::Wal) {
        // One segment comes with the copy, and another one as it catches up.
        wal.bytes = source.and_then(Source::wal_segment).map(|segment| 2 * segment);
    }
    let looked = disks(places, situation, parts, size).and_then(|disks| Ok((disks, GivenUp::of(&places.data)?)));
    let (disks, given_up) = match looked {
        Ok(looked) => looked,
        Err(failure) => return findings.bad("space", failure),
    };
    let must_be_sure = situation.space == Space::Replace && given_up.is_none();
    let role = source.map_or("ROLE", |source| &source.target.user);
    let teller = size.map(|size| size.teller);
    for disk in &disks {
        let is_told = disk.holds_only_wal() || teller == Some(Teller::Primary);
        match disk.refusal(cluster, role, must_be_sure).filter(|_| is_told) {
            Some(refusal) => findings.bad("space", refusal),
            None => room_on(findings, disk, teller),
        }
    }
    run.fact("copy", &Sizes { bytes: size.map(|size| size.total), told_by: teller, disks });
}

fn disks(places: &Places, situation: &Situation, parts: &[Part], size: Option<&Size>) -> Result<Vec<Disk>, Failure> {
    let disks = match situation.space {
        Space::Keep => Disk::all(parts, Space::Keep),
        Space::Replace => Disk::all_without_old_data(parts, &places.data),
    }?;
    let told = size.filter(|size| size.teller == Teller::Primary);
    Ok(told.map_or_else(|| disks.clone(), |size| Disk::for_all_of(&disks, size.total)))
}

fn room_on(findings: &mut Findings, disk: &Disk, teller: Option<Teller>) {
    let free = format!("{} are free at {}", megabytes(disk.free), disk.folder.display());
    match (teller, disk.bytes.map(megabytes)) {
        (_, Some(takes)) if disk.holds_only_wal() => {
            findings.good("space", format!("{free}, the write-ahead log takes {takes} there at least"));
        }
        (Some(Teller::Primary), Some(takes)) => {
            findings.good("space", format!("{free}, the copy takes {takes} there"));
        }
        (Some(Teller::Standby), Some(takes)) => {
            let detail =
                format!("{free}; the old standby takes {takes}, the primary says its own size as the copy begins");
            // The primary may have shrunk since.
            let ok = (!disk.is_too_small()).then_some(true);
            findings.add("space", ok, detail, None);
        }
        _ => findings.add("space", None, format!("{free}; the primary says its size as the copy begins"), None),
    }
}
