//! placeholder

pub mod verifier;
