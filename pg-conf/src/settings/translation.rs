//! Settings whose names follow the server's version.
//!
//! What must always hold: a translated value keeps at least as much as was asked for, and people are told of it.

use pg_runbook::Failure;
use pg_runbook::cluster::version;
use std::path::Path;

/// A setting as this version has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// The name here.
    pub name: &'static str,
    /// The value here.
    pub value: String,
    /// What people are told.
    pub warning: String,
}

const MEGABYTE: u64 = 1 << 20;

/// What `name = value` is on this major; nothing where it is what it says.
pub fn translate(name: &str, value: &str, major: u32, segment_bytes: u64) -> Result<Option<Translated>, Failure> {
    let Some(here) = translate_name(name, major) else { return Ok(None) };
    let segment = segment_bytes / MEGABYTE;
    let unreadable = |what: &str| Failure::usage(format!("{name} = {value:?} is not {what}"));
    let (value, count, why) = if version::wal_keep_is_segments(major) {
        let bytes = bytes(value).ok_or_else(|| unreadable("a size, such as 8GB"))?;
        let count = bytes.div_ceil(segment_bytes);
        (count.to_string(), count, format!("before 13, {here} counts segments"))
    } else {
        let count: u64 = value.trim().parse().map_err(|_| unreadable("a number of segments"))?;
        let size = count.checked_mul(segment).ok_or_else(|| unreadable("a number of segments that can be kept"))?;
        (format!("{size}MB"), count, format!("from 13 on it is {here}"))
    };
    let warning = format!(
        "{name} is not a setting of PostgreSQL {major}: {why}; {count} segments of {segment} MB make {here} = {value}"
    );
    Ok(Some(Translated { name: here, value, warning }))
}

/// The name by which this major has it, where that is another one.
pub fn translate_name(name: &str, major: u32) -> Option<&'static str> {
    match name {
        "wal_keep_segments" if !version::wal_keep_is_segments(major) => Some("wal_keep_size"),
        "wal_keep_size" if version::wal_keep_is_segments(major) => Some("wal_keep_segments"),
        _ => None,
    }
}

/// How large this cluster's WAL segments are: as large as the files that hold them; 16 MB where none can be seen.
pub fn segment_bytes(data_directory: &Path) -> u64 {
    let Ok(files) = std::fs::read_dir(data_directory.join("pg_wal")) else { return 16 * MEGABYTE };
    let is_segment = |name: &str| name.len() == 24 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut segments = files.flatten().filter(|file| file.file_name().to_str().is_some_and(is_segment));
    let length = segments.next().and_then(|file| file.metadata().ok()).map(|file| file.len());
    length.filter(|length| length.is_power_of_two() && *length >= MEGABYTE).unwrap_or(16 * MEGABYTE)
}

/// A size as the server reads one whose unit is MB where none is named (`guc.c`, `convert_to_base_unit`).
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (whole, fraction) = text[..end].split_once('.').unwrap_or((&text[..end], ""));
    let unit: u64 = match text[end..].trim() {
        "B" => 1,
        "kB" => 1 << 10,
        "" | "MB" => MEGABYTE,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        _ => return None,
    };
    // `0.5GB`, as 12 and later read it.
    let parts: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let of = 10_u64.checked_pow(fraction.len().try_into().ok()?)?;
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(unit)?.checked_add(parts.checked_mul(unit)?.div_ceil(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(name: &str, value: &str, major: u32, megabytes: u64) -> (&'static str, String) {
        let found = translate(name, value, major, megabytes * MEGABYTE).unwrap().unwrap();
        (found.name, found.value)
    }

    #[test]
    fn counts_segments_into_megabytes_and_back_rounded_up() {
        assert_eq!(translated("wal_keep_segments", "500", 15, 16), ("wal_keep_size", "8000MB".into()));
        assert_eq!(translated("wal_keep_segments", "500", 13, 64), ("wal_keep_size", "32000MB".into()));
        assert_eq!(translated("wal_keep_size", "8GB", 10, 16), ("wal_keep_segments", "512".into()));
        assert_eq!(translated("wal_keep_size", "0.5GB", 12, 16), ("wal_keep_segments", "32".into()));
        assert_eq!(translated("wal_keep_size", "17", 12, 16), ("wal_keep_segments", "2".into()));
        assert_eq!(translated("wal_keep_size", "1kB", 12, 16), ("wal_keep_segments", "1".into()));
        assert_eq!(translated("wal_keep_size", "0", 12, 16), ("wal_keep_segments", "0".into()));
    }

    #[test]
    fn leaves_what_the_version_has_and_refuses_what_it_cannot_count() {
        assert_eq!(translate("wal_keep_segments", "500", 12, MEGABYTE).unwrap(), None);
        assert_eq!(translate("work_mem", "8GB", 12, MEGABYTE).unwrap(), None);
        assert!(translate("wal_keep_segments", "8GB", 15, MEGABYTE).is_err());
        for nonsense in ["many", "", ".5GB", "1.2.3GB", "1.GB.", "-1", "99999999999TB"] {
            assert!(translate("wal_keep_size", nonsense, 12, MEGABYTE).is_err(), "{nonsense}");
        }
    }
}
