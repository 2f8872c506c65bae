//! `cargo xtask image`: the images that the end-to-end tests make their hosts of.
//!
//! What must always hold: an image that is there is not built again.

use crate::servers::need;
use crate::shell;
use tests::hosts::{Docker, HostImage, OLDEST, SUITES, Suite};

const ALL: [Suite; 3] = [SUITES[0], SUITES[1], OLDEST];

/// Which images.
#[derive(clap::Args, Default)]
pub struct Arguments {
    /// Build again what is there already, with the suite's newest packages
    #[arg(long)]
    fresh: bool,
    /// Only this suite of Debian
    #[arg(long, value_name = "SUITE", value_parser = ALL.map(|suite| suite.name))]
    suite: Option<String>,
}

/// Builds what is missing.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    install_the_engine()?;
    Docker::answers()?;
    let wanted = |name: &str| arguments.suite.as_ref().is_none_or(|suite| suite == name);
    for suite in ALL.into_iter().filter(|suite| wanted(suite.name)) {
        let image = HostImage::of(suite);
        if image.exists() && !arguments.fresh {
            println!("{} is there", image.name());
        } else {
            need("mmdebstrap --version", "mmdebstrap", "for where no registry can be reached")?;
            image.build()?;
        }
        image.prune()?;
    }
    Ok(())
}

/// As root on Debian; and that is said first.
fn install_the_engine() -> Result<(), String> {
    if Docker::answers().is_ok() {
        return Ok(());
    }
    need("docker --version", "docker.io", "the scenarios on hosts need a container engine")?;
    if Docker::answers().is_err() && tests::is_root() {
        println!("no container engine answers; starting it");
        shell::run("service docker start")?;
    }
    Ok(())
}
