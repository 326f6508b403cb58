//! Any answers of a metadata service: a first byte says which and how, the rest is what it answers each time.
#![no_main]

use ballast_settings::{
    metadata::{Answer, Found, Service, Session},
    settings,
};
use libfuzzer_sys::fuzz_target;

const STATUSES: [u16; 4] = [200, 404, 401, 503];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, body)) = bytes.split_first() else { return };
    let mut session = Session::new(Service::ALL[usize::from(*first) % Service::ALL.len()]);
    for shift in 0..8 {
        if session.request().is_none() {
            break;
        }
        // The first answers at random, the later ones good: so that more than one is looked at.
        let status = STATUSES[usize::from(first >> shift.min(6)) % STATUSES.len()];
        session.answer(Answer { status, body });
    }
    session.give_up("enough");
    let (found, _) = session.finish();
    let sources: Vec<_> = found.iter().map(Found::source).collect();
    settings(&sources);
});
