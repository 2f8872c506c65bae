//! The address column of a rule, as getaddrinfo and `hba.c` take it.
//!
//! What must always hold: a text is an address here exactly where the server takes it for one, and a host name
//! otherwise; the server looks no name up while it reads the file.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::word::Word;

/// Where connections may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A network, or one address. Bits behind the mask don't count.
    Cidr(IpNet),
    /// An address with a mask of its own that is no prefix: `10.0.0.0 255.0.255.0`.
    Masked {
        /// The address.
        address: IpAddr,
        /// Which of its bits count.
        mask: IpAddr,
    },
    /// `all`
    All,
    /// `samehost`: any address of the server itself.
    SameHost,
    /// `samenet`: any address of a network that the server is in.
    SameNet,
    /// A name, or with a dot in front the end of one.
    HostName(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cidr(net) => net.fmt(f),
            Self::Masked { address, mask } => write!(f, "{address} {mask}"),
            Self::All => f.write_str("all"),
            Self::SameHost => f.write_str("samehost"),
            Self::SameNet => f.write_str("samenet"),
            Self::HostName(name) => f.write_str(name),
        }
    }
}

/// An address whose mask has yet to come, or one that is complete.
pub(super) enum Column {
    Complete(Address),
    NeedsMask(IpAddr),
}

/// Reads the address column; the error is the server's.
pub(super) fn read(word: &Word) -> Result<Column, String> {
    for (keyword, address) in [("all", Address::All), ("samehost", Address::SameHost), ("samenet", Address::SameNet)] {
        if word.is_keyword(keyword) {
            return Ok(Column::Complete(address));
        }
    }
    let text = &word.text;
    match text.split_once('/') {
        None => Ok(numeric(text).map_or_else(|| Column::Complete(Address::HostName(text.clone())), Column::NeedsMask)),
        Some((host, length)) => {
            let address = numeric(host)
                .ok_or_else(|| format!("specifying both host name and CIDR mask is invalid: \"{text}\""))?;
            let network = prefix_length(length).and_then(|length| IpNet::new(address, length).ok());
            let network = network.ok_or_else(|| format!("invalid CIDR mask in address \"{text}\""))?;
            Ok(Column::Complete(Address::Cidr(network)))
        }
    }
}

/// Puts an address and the mask of the next column together.
pub(super) fn with_mask(address: IpAddr, mask: &Word) -> Result<Address, String> {
    let mask = numeric(&mask.text).ok_or_else(|| format!("invalid IP mask \"{}\"", mask.text))?;
    if address.is_ipv4() != mask.is_ipv4() {
        return Err("IP address and mask do not match".into());
    }
    Ok(IpNet::with_netmask(address, mask).map_or(Address::Masked { address, mask }, Address::Cidr))
}

/// What getaddrinfo takes for a number: with IPv4 that is `inet_aton`, so `10.1` is 10.0.0.1 and 010.0.0.1 is 8.0.0.1.
fn numeric(text: &str) -> Option<IpAddr> {
    let without_scope = text.split_once('%').map_or(text, |(address, _)| address);
    if text.contains(':') { without_scope.parse().ok() } else { dotted(text).map(IpAddr::V4) }
}

fn dotted(text: &str) -> Option<Ipv4Addr> {
    let parts = text.split('.').map(number).collect::<Option<Vec<u32>>>()?;
    let (last, front) = parts.split_last()?;
    if front.len() > 3 || front.iter().any(|part| *part > 255) {
        return None;
    }
    // The last part fills all bytes that the others leave.
    let free_bits = 32 - 8 * u32::try_from(front.len()).ok()?;
    if last.checked_shr(free_bits).unwrap_or(0) != 0 {
        return None;
    }
    let high = front.iter().zip([24, 16, 8]).fold(0, |sum, (part, shift)| sum | part << shift);
    Some(Ipv4Addr::from(high | last))
}

fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hexadecimal) => (hexadecimal, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    if digits.starts_with('+') { None } else { u32::from_str_radix(digits, radix).ok() }
}

/// As strtol reads it, so `+8` and ` 08` are 8; nothing may follow.
fn prefix_length(text: &str) -> Option<u8> {
    let text = text.trim_start_matches(|letter: char| letter.is_ascii_whitespace());
    text.parse().ok()
}
