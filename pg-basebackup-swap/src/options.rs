//! Values of `pg_basebackup`'s own options, understood before anything is done with them.
//!
//! What must always hold: what passes here is what `pg_basebackup` takes; what it would refuse half-way is a usage error.

use std::path::PathBuf;

/// kB a second (`replication/basebackup.h`).
const RATES: std::ops::RangeInclusive<f64> = 32.0..=1_048_576.0;
/// How the primary can compress what it sends.
pub const METHODS: [&str; 3] = ["gzip", "lz4", "zstd"];

/// `32k` to `1024M`; a number alone is in kB.
pub fn max_rate(text: &str) -> Result<String, String> {
    let (number, factor) = match text.strip_suffix('M') {
        Some(number) => (number, 1024.0),
        None => (text.strip_suffix('k').unwrap_or(text), 1.0),
    };
    let rate: f64 = number.parse().map_err(|_| "it is a rate a second, such as 800k or 50M".to_owned())?;
    if RATES.contains(&(rate * factor)) { Ok(text.into()) } else { Err("it is between 32k and 1024M a second".into()) }
}

/// `gzip`, `server-zstd:3`: always the server's, because only an archive could stay compressed here.
pub fn compression(text: &str) -> Result<String, String> {
    if text.starts_with("client-") {
        return Err("the copy is a data directory, which can't stay compressed: server-METHOD".into());
    }
    let wanted = text.strip_prefix("server-").unwrap_or(text);
    let (method, detail) = wanted.split_once(':').map_or((wanted, None), |(method, detail)| (method, Some(detail)));
    if !METHODS.contains(&method) {
        return Err(format!("the method is one of {}", METHODS.join(", ")));
    }
    let plain = |detail: &str| {
        !detail.is_empty() && detail.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"=,_-".contains(&byte))
    };
    if detail.is_none_or(plain) {
        Ok(format!("server-{wanted}"))
    } else {
        Err("the detail is a level, such as gzip:1, or options, such as zstd:level=3,workers=2".into())
    }
}

/// A slot's name; empty is none.
pub fn slot(text: &str) -> Result<String, String> {
    let fits = text.len() < 64 && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if fits { Ok(text.into()) } else { Err("it has up to 63 lower-case letters, digits and underscores".into()) }
}

/// Where a tablespace of the primary goes on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablespaceMapping {
    /// Its location on the primary.
    pub old: PathBuf,
    /// Its location here.
    pub new: PathBuf,
}

impl TablespaceMapping {
    /// As `pg_basebackup` takes it.
    #[must_use]
    pub fn argument(&self) -> String {
        let escaped = |path: &PathBuf| path.display().to_string().replace('=', "\\=");
        format!("{}={}", escaped(&self.old), escaped(&self.new))
    }
}

/// `OLDDIR=NEWDIR`, both absolute; an equals sign in a name is written `\=`.
pub fn tablespace_mapping(text: &str) -> Result<TablespaceMapping, String> {
    const ESCAPED: char = '\u{0}';
    let marked = text.replace("\\=", &ESCAPED.to_string());
    let mut parts = marked.split('=').map(|part| PathBuf::from(part.replace(ESCAPED, "=")));
    let (Some(old), Some(new), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err("it is OLDDIR=NEWDIR; an equals sign in a name is written \\=".into());
    };
    if old.is_absolute() && new.is_absolute() {
        Ok(TablespaceMapping { old, new })
    } else {
        Err("both folders are named from the root: /OLDDIR=/NEWDIR".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_rates_that_pg_basebackup_takes() {
        for good in ["32", "32k", "50M", "1024M", "0.5M"] {
            assert_eq!(max_rate(good).as_deref(), Ok(good));
        }
        for bad in ["", "31", "1025M", "50G", "fast", "-5M", "inf", "NaN"] {
            assert!(max_rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn compression_is_the_servers() {
        assert_eq!(compression("gzip").as_deref(), Ok("server-gzip"));
        assert_eq!(compression("server-zstd:level=3,workers=2").as_deref(), Ok("server-zstd:level=3,workers=2"));
        for bad in ["client-gzip", "none", "5", "gzip:", "bzip2", "gzip:1 2"] {
            assert!(compression(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mapping_keeps_equals_signs_and_blanks_in_names() {
        let mapping = tablespace_mapping(r"/srv/a\=b=/srv/with blank").unwrap();
        assert_eq!((mapping.old.as_path(), mapping.new.as_path()), ("/srv/a=b".as_ref(), "/srv/with blank".as_ref()));
        assert_eq!(mapping.argument(), r"/srv/a\=b=/srv/with blank");
        for bad in ["/srv/a", "a=/b", "/a=b", "/a=/b=/c", "="] {
            assert!(tablespace_mapping(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_slots_name_is_short_and_plain() {
        assert!(slot("").is_ok() && slot("standby_1").is_ok());
        assert!(slot("No Name").is_err() && slot(&"x".repeat(64)).is_err());
    }
}
