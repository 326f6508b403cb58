//! Who is connected to a listener: so many at once and no more. Whoever comes when it is full takes the place of the one who came first from
//! where most of them come from, so that nobody keeps the others out by connecting and saying nothing.

use std::{collections::VecDeque, net::IpAddr};

use tokio::task::AbortHandle;

/// The connections that are served. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    /// The first came first.
    open: VecDeque<(Option<IpAddr>, AbortHandle)>,
}

impl Connections {
    /// At most `most` at once.
    pub(super) fn new(most: usize) -> Self {
        Self { most, open: VecDeque::new() }
    }

    /// Serves one more, that comes from `from`; None for a socket on this machine.
    pub(super) fn serve(&mut self, from: Option<IpAddr>, work: impl Future<Output = ()> + Send + 'static) {
        self.open.retain(|(_, task)| !task.is_finished());
        if self.open.len() >= self.most {
            self.give_up_one();
        }
        self.open.push_back((from, tokio::spawn(work).abort_handle()));
    }

    fn give_up_one(&mut self) {
        let count = |from: &Option<IpAddr>| self.open.iter().filter(|(other, _)| other == from).count();
        let most = self.open.iter().map(|(from, _)| count(from)).max();
        let Some(first) = self.open.iter().position(|(from, _)| Some(count(from)) == most) else { return };
        if let Some((from, task)) = self.open.remove(first) {
            log::debug!("a connection from {from:?} makes place for another");
            task.abort();
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.open.iter().for_each(|(_, task)| task.abort());
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    /// From where those come that are served.
    async fn open(connections: &mut Connections) -> Vec<u8> {
        // Those that were aborted end when they have their turn.
        tokio::task::yield_now().await;
        connections.open.retain(|(_, task)| !task.is_finished());
        let last = |from: &Option<IpAddr>| if let Some(IpAddr::V4(from)) = from { from.octets()[3] } else { 0 };
        connections.open.iter().map(|(from, _)| last(from)).collect()
    }

    #[tokio::test]
    async fn who_has_most_connections_makes_place() {
        let from = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
        let mut connections = Connections::new(4);
        for last in [1, 2, 2, 2, 3, 2] {
            connections.serve(from(last), pending());
        }
        assert_eq!(open(&mut connections).await, [1, 2, 3, 2]);
        // Who has ended needs no place.
        connections.serve(from(9), async {});
        assert_eq!(open(&mut connections).await, [1, 3, 2]);
        for _ in 0..9 {
            connections.serve(None, pending());
        }
        // Of those with as many, the first.
        assert_eq!(open(&mut connections).await, [3, 2, 0, 0]);
    }
}
