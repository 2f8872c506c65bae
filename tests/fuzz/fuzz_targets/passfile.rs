//! Any bytes as .pgpass.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::lossless::passfile(bytes));
