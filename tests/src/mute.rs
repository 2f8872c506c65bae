//! A server that lets anybody in and then says nothing, as where its disk hangs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// What comes with a login that needs no password: it is let in, has a number to be cancelled by, and may ask.
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x02Z\0\0\0\x05I";

/// The protocol's number for a login; others ask for TLS, or for the end of somebody's statement.
const LOGIN: [u8; 4] = 196_608_u32.to_be_bytes();

/// Listens at 127.0.0.1 on a port that is the caller's, as long as the process lives.
pub fn lets_in_and_says_nothing(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("listen on a free port");
    std::thread::spawn(move || {
        let mut guests: Vec<TcpStream> = Vec::new();
        guests.extend(listener.incoming().flatten().filter_map(let_in));
    });
}

/// The connection, to be kept open.
fn let_in(mut stream: TcpStream) -> Option<TcpStream> {
    let mut head = [0; 8];
    stream.read_exact(&mut head).ok()?;
    if head[4..] != LOGIN {
        return None;
    }
    stream.write_all(WELCOME).ok()?;
    Some(stream)
}
