//! A place in the write-ahead log, as `pg_lsn` prints it: `16/B374D848`.

use std::fmt;
use std::str::FromStr;

/// In bytes from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn(pub u64);

impl Lsn {
    /// How many bytes lie between this place and an earlier one; none where that one is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl FromStr for Lsn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let half = |text: &str| u32::from_str_radix(text, 16).ok().map(u64::from);
        let halves = text.split_once('/').and_then(|(high, low)| Some((half(high)?, half(low)?)));
        halves.map(|(high, low)| Self(high << 32 | low)).ok_or_else(|| format!("{text:?} is no place in a log"))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_what_servers_print() {
        let lsn: Lsn = "16/B374D848".parse().unwrap();
        assert_eq!((lsn.0, lsn.to_string().as_str()), (0x16_B374_D848, "16/B374D848"));
        // 19 fills the second half up.
        assert_eq!("0/03000148".parse(), Ok(Lsn(0x300_0148)));
        for bad in ["", "16", "x/1", "1/2/3", "1/123456789"] {
            assert!(bad.parse::<Lsn>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_later_place_is_not_behind() {
        assert_eq!((Lsn(10).since(Lsn(4)), Lsn(4).since(Lsn(10))), (6, 0));
    }
}
