//! Each thing that can go wrong at the fault proxy goes wrong, and nothing else does.

use std::time::Instant;

use qemu_vm::fault_proxy::{Fault, On, Times};
use qemu_vm::registry::{Authority, Validity};

use crate::support::Bench;

fn fails(bench: &Bench, name: &str) -> String {
    let error = bench.fetch(name, &bench.release_server.key.public, &bench.place("broken")).unwrap_err();
    format!("{error:#}")
}

/// skopeo, which tries less hard than a node, says what it saw.
#[test]
fn layers_are_cut_truncated_and_changed() {
    let bench = Bench::open();
    let release = bench.release("20261122.1");
    let name = bench.release_server.publish(&release).unwrap();
    let layer = || On::Blob(release.layer.clone());
    let fault_proxy = &bench.release_server.fault_proxy;
    for (fault, says, sent_in_all) in [
        (Fault::Truncate { at: 1000 }, "igest did not match", Some(1000)),
        (Fault::Flip { at: 200_000 }, "igest did not match", Some(release.layer_bytes)),
        (Fault::Cut { after: 1000 }, "EOF", None),
        (Fault::Drop, "EOF", Some(0)),
        (Fault::Status(404), "404", Some(0)),
    ] {
        let mark = fault_proxy.mark();
        fault_proxy.breaks(layer(), fault.clone(), Times::Always);
        let error = fails(&bench, &name);
        assert!(error.contains(says), "{fault:?}: {error}");
        let served = fault_proxy.served_since(mark);
        let sent: u64 = served.iter().filter(|one| one.path.ends_with(&release.layer)).map(|one| one.sent).sum();
        if let Some(expected) = sent_in_all {
            assert_eq!(sent, expected, "{fault:?}");
        }
        fault_proxy.heals();
    }
    bench.fetch(&name, &bench.release_server.key.public, &bench.place("whole")).unwrap();
}

#[test]
fn certificates_of_a_stranger_and_of_long_ago_are_shown() {
    let bench = Bench::open();
    let name = bench.release_server.publish(&bench.release("20261122.1")).unwrap();
    let stranger = Authority::make(&bench.tools, bench.release_server.folder(), "stranger").unwrap();
    bench.release_server.fault_proxy.shows(stranger.issue(Validity::Current).unwrap());
    assert!(fails(&bench, &name).contains("unknown authority"));
    bench.release_server.fault_proxy.shows(bench.release_server.authority.issue(Validity::Expired).unwrap());
    assert!(fails(&bench, &name).contains("expired"));
    bench.release_server.fault_proxy.shows(bench.release_server.authority.issue(Validity::Current).unwrap());
    bench.fetch(&name, &bench.release_server.key.public, &bench.place("whole")).unwrap();
}

#[test]
fn a_slow_line_is_slow_and_a_stalled_one_says_nothing_more() {
    let bench = Bench::open();
    let release = bench.release("20261122.1");
    let name = bench.release_server.publish(&release).unwrap();
    let layer = || On::Blob(release.layer.clone());
    let began = Instant::now();
    bench.release_server.fault_proxy.breaks(layer(), Fault::Throttle { bytes_per_second: 150_000 }, Times::First(1));
    bench.fetch(&name, &bench.release_server.key.public, &bench.place("slow")).unwrap();
    assert!(began.elapsed().as_secs_f64() > 1.9);

    bench.release_server.fault_proxy.breaks(layer(), Fault::Stall { after: 100 }, Times::Always);
    let mark = bench.release_server.fault_proxy.mark();
    std::thread::scope(|scope| {
        let fetch = scope.spawn(|| fails(&bench, &name));
        let deadline = qemu_vm::deadline::Deadline::secs(30);
        let stalled = deadline.poll(std::time::Duration::from_millis(50), || {
            let served = bench.release_server.fault_proxy.served_since(mark);
            Ok::<_, ()>(served.iter().any(|one| one.sent == 100).then_some(()))
        });
        assert_eq!(stalled, Ok(Some(())));
        // skopeo's own limit ends it: nothing came that would have.
        assert!(fetch.join().unwrap().contains("deadline exceeded"));
    });
}
