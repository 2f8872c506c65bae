//! Who gets in: `pg_hba.conf`. `rules` shows it, `explain` says what it makes of a login, `allow` and `disallow` change it.
//!
//! What must always hold: a rule is read here as the server of the same major reads it ([`hba_file`]), what only somebody
//! else knows is asked or said to be unknown ([`lookup`]), and no rule is installed that a server did not read ([`scratch`]).

pub mod access;
pub mod allow;
mod cautions;
mod decision;
pub mod disallow;
pub mod explain;
pub mod hba_file;
pub mod hba_tree;
mod lookup;
mod methods;
mod origin;
mod role_facts;
pub mod scratch;
pub mod show;
