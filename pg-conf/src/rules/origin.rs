//! Where a login comes from, as it is typed: an address, a network, a host name, or `all`, `samehost`, `samenet`.
//!
//! What must always hold: what is typed means what the same word means in the address column of a rule.

use crate::rules::hba_file::Origin;
use crate::rules::lookup;
use ipnet::IpNet;
use pg_runbook::Failure;
use std::net::IpAddr;

/// An address column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    /// As the rule has it.
    pub text: String,
    /// What it means.
    pub origin: Origin,
}

impl From {
    /// Understands what was typed; a host's addresses are not looked up yet.
    pub fn typed(text: &str) -> Result<Self, Failure> {
        let bad =
            |why: &str| Failure::usage(format!("{text:?} is not an address, a network or a host name")).because(why);
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(IpNet::from(address).into());
        }
        if let Some((address, length)) = text.split_once('/') {
            return match text.parse::<IpNet>() {
                Ok(net) => Ok(net.trunc().into()),
                Err(_) if address.parse::<IpAddr>().is_ok() => {
                    Err(bad(&format!("/{length} can't be the length of its mask")))
                }
                Err(_) if address.chars().any(|c| c.is_ascii_alphabetic()) && !address.contains(':') => {
                    Err(bad("a host name can't have a mask"))
                }
                Err(_) => Err(bad("it is written like 192.0.2.0/24 or 2001:db8::/64")),
            };
        }
        let several = |nets| Ok(Self { text: text.to_owned(), origin: Origin::Several(nets) });
        match text {
            "all" => return several(EVERYWHERE.map(|net| net.parse().unwrap_or_default()).to_vec()),
            "samehost" => return several(lookup::own_networks(false)),
            "samenet" => return several(lookup::own_networks(true)),
            _ => {}
        }
        let letters = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let numeric = text.chars().all(|c| c.is_ascii_digit() || c == '.');
        if text.is_empty() || numeric || !text.chars().all(letters) {
            return Err(bad("it is written like 192.0.2.7, 192.0.2.0/24, 2001:db8::7 or standby.example.com"));
        }
        let origin = Origin::Host { name: text.to_owned(), addresses: Vec::new() };
        Ok(Self { text: text.to_owned(), origin })
    }

    /// The same with a host's present addresses.
    #[must_use]
    pub fn looked_up(mut self) -> Self {
        if let Origin::Host { name, addresses } = &mut self.origin {
            *addresses = lookup::addresses(name);
        }
        self
    }

    /// Whether it is every address of a family.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        match &self.origin {
            Origin::Net(net) => net.prefix_len() == 0,
            Origin::Several(_) => self.text == "all",
            Origin::Local | Origin::Host { .. } => false,
        }
    }
}

const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

impl std::convert::From<IpNet> for From {
    fn from(net: IpNet) -> Self {
        Self { text: net.to_string(), origin: Origin::Net(net) }
    }
}
