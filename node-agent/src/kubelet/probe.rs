//! Asks the kubelet how it is: `GET /healthz` on the loopback. Beside the loop, which does not wait for a process that hangs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::JoinHandle,
    time::timeout,
};

use super::model::Health;

/// How often it is asked while it answers, and while it does not.
pub const EVERY: Duration = Duration::from_secs(10);
/// See [`EVERY`].
pub const AGAIN: Duration = Duration::from_secs(2);

/// Slower is no answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// The first line of an answer is what counts.
const MAX_BYTES: usize = 12;

/// Asks again and again.
#[derive(Debug)]
pub struct Probe {
    address: (&'static str, u16),
    changed: Arc<Notify>,
    asking: Option<(u32, JoinHandle<bool>)>,
    last: Option<Instant>,
    of_pid: u32,
    healthy_since: Option<Instant>,
    silences: u32,
}

impl Probe {
    /// Nobody has been asked yet. An answer wakes `changed`.
    pub fn new(address: (&'static str, u16), changed: Arc<Notify>) -> Self {
        Self { address, changed, asking: None, last: None, of_pid: 0, healthy_since: None, silences: 0 }
    }

    /// What the process `pid` answered so far; asks it once more if that is due. 0: there is none.
    pub async fn observe(&mut self, pid: u32) -> Health {
        if pid != self.of_pid {
            *self = Self { of_pid: pid, ..Self::new(self.address, Arc::clone(&self.changed)) };
        }
        if let Some((of, asking)) = self.asking.take_if(|(_, asking)| asking.is_finished()) {
            self.note(of == pid && asking.await.unwrap_or(false));
        }
        let every = if self.healthy_since.is_some() { EVERY } else { AGAIN };
        if pid != 0 && self.asking.is_none() && self.last.is_none_or(|last| last.elapsed() >= every) {
            self.last = Some(Instant::now());
            let (address, changed) = (self.address, Arc::clone(&self.changed));
            let asking = tokio::spawn(async move {
                let is_healthy = matches!(timeout(DEADLINE, ask(address)).await, Ok(Ok(true)));
                changed.notify_one();
                is_healthy
            });
            self.asking = Some((pid, asking));
        }
        Health { healthy_for: self.healthy_since.map(|since| since.elapsed()), silences: self.silences }
    }

    fn note(&mut self, is_healthy: bool) {
        if is_healthy {
            self.healthy_since.get_or_insert_with(Instant::now);
            self.silences = 0;
        } else {
            self.silences += 1;
            self.healthy_since = None;
        }
    }
}

/// Whether the answer is 200.
async fn ask(address: (&str, u16)) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
    let mut answer = [0; MAX_BYTES];
    stream.read_exact(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.") && answer.ends_with(b" 200"))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn only_a_200_is_healthy() {
        for (answer, expected) in [
            ("HTTP/1.0 200 OK\r\n\r\nok", true),
            ("HTTP/1.1 200 OK\r\n\r\nok", true),
            ("HTTP/1.0 500 Internal Server Error\r\n\r\n", false),
            ("hello, this is not it", false),
        ] {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let served = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            });
            assert_eq!(ask(("127.0.0.1", port)).await.unwrap(), expected, "{answer}");
            served.await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_does_not_answer_is_counted_and_another_process_is_asked_anew() {
        // Nobody listens there.
        let port = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
        let changed = Arc::new(Notify::new());
        let mut probe = Probe::new(("127.0.0.1", port), Arc::clone(&changed));
        assert_eq!(probe.observe(7).await, Health::default());
        changed.notified().await;
        tokio::task::yield_now().await;
        while probe.asking.as_ref().is_some_and(|(_, asking)| !asking.is_finished()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(probe.observe(7).await.silences, 1);
        assert_eq!(probe.observe(8).await, Health::default());
        assert_eq!(probe.observe(0).await, Health::default());
    }
}
