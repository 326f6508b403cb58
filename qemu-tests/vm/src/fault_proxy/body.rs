//! Passing a body on, with what shall go wrong on the way.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::fault::Fault;

/// Pieces are small so that a throttled body still flows evenly, and a stall comes at its byte.
const PIECE: usize = 16 << 10;

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All of it was sent
    Whole,
    /// The rest never comes, with the connection open
    Stalled,
    /// The rest never comes, and the connection ends
    Cut,
}

/// Passes on `length` bytes (or all, if it is not known) of `source`, which start at `start` of the whole.
pub(super) fn pass(
    source: &mut dyn Read,
    sink: &mut dyn Write,
    length: Option<u64>,
    start: u64,
    fault: Option<&Fault>,
    mut sent: impl FnMut(u64),
) -> Result<End> {
    let (limit, end) = match fault {
        Some(Fault::Stall { after }) => (Some(*after), End::Stalled),
        Some(Fault::Cut { after }) => (Some(*after), End::Cut),
        _ => (None, End::Whole),
    };
    let wanted = length.unwrap_or(u64::MAX);
    let allowed = limit.map_or(wanted, |limit| limit.min(wanted));
    let (began, mut done, mut piece) = (Instant::now(), 0_u64, vec![0; PIECE]);
    while done < allowed {
        let most = usize::try_from(allowed - done).map_or(PIECE, |left| left.min(PIECE));
        let read = source.read(&mut piece[..most]).context("reading from the registry")?;
        if read == 0 {
            break;
        }
        if let Some(Fault::Flip { at }) = fault {
            let here = at.checked_sub(start + done).and_then(|here| usize::try_from(here).ok());
            if let Some(byte) = here.and_then(|here| piece[..read].get_mut(here)) {
                *byte ^= 1;
            }
        }
        sink.write_all(&piece[..read]).and_then(|()| sink.flush()).context("sending to the client")?;
        done += read as u64;
        sent(read as u64);
        if let Some(Fault::Throttle { bytes_per_second }) = fault {
            let due = Duration::from_secs_f64(done as f64 / (*bytes_per_second).max(1) as f64);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }
    Ok(if limit.is_some() && done < wanted { end } else { End::Whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(start: u64, fault: &Fault) -> (Vec<u8>, End) {
        let (mut out, mut counted) = (Vec::new(), 0);
        let body: Vec<u8> = vec![0; 40_000];
        let end = pass(&mut &body[..], &mut out, Some(40_000), start, Some(fault), |n| counted += n).unwrap();
        assert_eq!(counted, out.len() as u64);
        (out, end)
    }

    #[test]
    fn a_bit_is_flipped_where_the_whole_has_that_byte() {
        let (out, end) = passed(10_000, &Fault::Flip { at: 40_001 });
        assert_eq!(end, End::Whole);
        assert_eq!(out.iter().position(|byte| *byte == 1), Some(30_001));
        assert!(passed(10_000, &Fault::Flip { at: 9_999 }).0.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_body_stops_at_its_byte() {
        assert_eq!(passed(0, &Fault::Stall { after: 20_001 }).1, End::Stalled);
        assert_eq!(passed(0, &Fault::Stall { after: 20_001 }).0.len(), 20_001);
        assert_eq!(passed(0, &Fault::Cut { after: 0 }), (Vec::new(), End::Cut));
        assert_eq!(passed(0, &Fault::Cut { after: 40_000 }).1, End::Whole);
    }

    #[test]
    fn a_throttled_body_takes_its_time() {
        let began = Instant::now();
        assert_eq!(passed(0, &Fault::Throttle { bytes_per_second: 200_000 }).0.len(), 40_000);
        assert!(began.elapsed() >= Duration::from_millis(190));
    }
}
