//! A slow link to a server: a proxy that lets through only so many bytes a second of what the server says.
//!
//! What must always hold: all connections share the one link, as they would share a cable; it is gone when dropped.

use crate::ground::Outcome;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The link, open.
pub struct SlowLink {
    pub port: u16,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// When the link is free again, by what it was given to carry.
struct Link {
    bytes_per_second: f64,
    free_at: Mutex<Instant>,
}

/// What is carried at once.
const PIECE: usize = 64 * 1024;

/// For how long a link may lag behind its bandwidth and catch up, as one with a buffer does.
const BUFFERED: Duration = Duration::from_millis(100);

impl SlowLink {
    /// Opens one to a port of this host.
    pub fn open(server: u16, megabytes_per_second: u32) -> Outcome<Self> {
        let say = |error: std::io::Error| format!("open a slow link: {error}");
        let listener = TcpListener::bind("127.0.0.1:0").map_err(say)?;
        let port = listener.local_addr().map_err(say)?.port();
        let over = Arc::new(AtomicBool::new(false));
        let link = Arc::new(Link {
            bytes_per_second: f64::from(megabytes_per_second) * 1e6,
            free_at: Mutex::new(Instant::now()),
        });
        let is_over = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                // A client that can't be served sees its connection end.
                let _ = join(client, server, &link);
            }
        });
        Ok(Self { port, over, thread: Some(thread) })
    }
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Link {
    /// Waits for as long as these bytes take.
    fn carry(&self, bytes: usize) {
        let now = Instant::now();
        let done = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            #[allow(clippy::cast_precision_loss, reason = "at most a piece")]
            let time = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
            // On a busy machine a sleep lasts too long; what the link could have carried meanwhile, it carries then.
            let earliest = now.checked_sub(BUFFERED).unwrap_or(now);
            *free_at = (*free_at).max(earliest) + time;
            *free_at
        };
        // The sleep is what is slow about the link.
        std::thread::sleep(done.saturating_duration_since(now));
    }
}

/// Both directions of one connection, each in a thread that ends with it.
fn join(client: TcpStream, server: u16, link: &Arc<Link>) -> std::io::Result<()> {
    let server = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], server)))?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (to_server, from_client) = (server.try_clone()?, client.try_clone()?);
    let link = Arc::clone(link);
    std::thread::spawn(move || pass_on(server, client, Some(&link)));
    std::thread::spawn(move || pass_on(from_client, to_server, None));
    Ok(())
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, link: Option<&Link>) {
    let mut piece = vec![0; PIECE];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        if let Some(link) = link {
            link.carry(count);
        }
        if to.write_all(&piece[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says this many bytes to whoever comes, and then hangs up.
    fn talker(bytes: usize) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || listener.accept().unwrap().0.write_all(&vec![7; bytes]).unwrap());
        port
    }

    #[test]
    fn everything_arrives_and_not_before_its_time() {
        let link = SlowLink::open(talker(1_000_000), 4).unwrap();
        let begun = Instant::now();
        let mut said = Vec::new();
        TcpStream::connect(("127.0.0.1", link.port)).unwrap().read_to_end(&mut said).unwrap();
        assert_eq!(said, vec![7; 1_000_000]);
        assert!(begun.elapsed() + BUFFERED >= Duration::from_millis(250));
    }
}
