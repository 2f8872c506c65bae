//! A login by hand, as far as the server's choice of rule goes: the protocol's first messages and a wrong password, from
//! an address of one's choice. libpq can't choose where it comes from.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, connect, socket};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Where a login comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// A Unix socket, by its file.
    Socket(PathBuf),
    /// An address of this host, to another one.
    Tcp {
        /// Its own.
        from: IpAddr,
        /// The server's.
        to: SocketAddr,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing was asked.
    LetIn,
    /// The server's last words.
    Refused(String),
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// Logs in with a wrong password; `None` is physical replication.
pub fn knock(door: &Door, role: &str, database: Option<&str>) -> Reply {
    let mut stream = open(door);
    let mut startup = 196_608_u32.to_be_bytes().to_vec();
    for (name, value) in [("user", role), ("database", database.unwrap_or("replication"))] {
        startup.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    if database.is_none() {
        startup.extend(b"replication\0true\0");
    }
    startup.push(0);
    send(&mut *stream, None, &startup);
    loop {
        let (kind, body) = receive(&mut *stream);
        if kind == b'E' {
            return Reply::Refused(message(&body));
        }
        assert_eq!(kind, b'R', "an answer to a login");
        match u32::from_be_bytes(body[..4].try_into().expect("four bytes")) {
            0 => return Reply::LetIn,
            3 => send(&mut *stream, Some(b'p'), b"wrong\0"),
            5 => send(&mut *stream, Some(b'p'), b"md5ffffffffffffffffffffffffffffffff\0"),
            10 => send(&mut *stream, Some(b'p'), b"SCRAM-SHA-256\0\0\0\0\x0en,,n=,r=abcdef"),
            11 => {
                let first = String::from_utf8_lossy(&body[4..]).into_owned();
                let nonce = first.split(',').find_map(|part| part.strip_prefix("r=")).expect("a nonce");
                let proof = format!("{}=", "A".repeat(43));
                send(&mut *stream, Some(b'p'), format!("c=biws,r={nonce},p={proof}").as_bytes());
            }
            other => panic!("the server asks for {other}"),
        }
    }
}

fn open(door: &Door) -> Box<dyn Stream> {
    let patience = Some(Duration::from_secs(20));
    match door {
        Door::Socket(path) => {
            let stream = UnixStream::connect(path).unwrap_or_else(|error| panic!("connect to {path:?}: {error}"));
            stream.set_read_timeout(patience).expect("a limit");
            Box::new(stream)
        }
        Door::Tcp { from, to } => {
            let stream = connect_from(*from, *to).unwrap_or_else(|error| panic!("{from} to {to}: {error}"));
            stream.set_read_timeout(patience).expect("a limit");
            Box::new(stream)
        }
    }
}

fn connect_from(from: IpAddr, to: SocketAddr) -> nix::Result<TcpStream> {
    let family = if from.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let descriptor = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let number = descriptor.as_raw_fd();
    match (SocketAddr::new(from, 0), to) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            bind(number, &SockaddrIn::from(from))?;
            connect(number, &SockaddrIn::from(to))?;
        }
        (SocketAddr::V6(from), SocketAddr::V6(to)) => {
            bind(number, &SockaddrIn6::from(from))?;
            connect(number, &SockaddrIn6::from(to))?;
        }
        _ => return Err(nix::Error::EAFNOSUPPORT),
    }
    Ok(TcpStream::from(descriptor))
}

fn send(stream: &mut dyn Stream, kind: Option<u8>, body: &[u8]) {
    let length = u32::try_from(body.len() + 4).expect("a short message");
    let mut bytes: Vec<u8> = kind.into_iter().collect();
    bytes.extend(length.to_be_bytes());
    bytes.extend(body);
    stream.write_all(&bytes).expect("send");
}

fn receive(stream: &mut dyn Stream) -> (u8, Vec<u8>) {
    let mut head = [0; 5];
    stream.read_exact(&mut head).expect("an answer");
    let length = u32::from_be_bytes(head[1..].try_into().expect("four bytes"));
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body).expect("a whole answer");
    (head[0], body)
}

/// The field M of an error.
fn message(body: &[u8]) -> String {
    let fields = body.split(|byte| *byte == 0);
    let text = fields.into_iter().find_map(|field| field.strip_prefix(b"M"));
    String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
}
