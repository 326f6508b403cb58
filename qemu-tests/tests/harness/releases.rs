//! Releases are made, published and signed so that another implementation (skopeo's) finds them right.

use std::fs;

use qemu_vm::registry::{Signed, SigningKey};

use crate::support::Bench;

#[test]
fn a_signed_release_is_fetched_and_its_bytes_are_counted() {
    let bench = Bench::open();
    let release = bench.release("20261122.1");
    let name = bench.release_server.publish(&release).unwrap();
    let into = bench.place("fetched");
    bench.fetch(&name, &bench.release_server.key.public, &into).unwrap();
    let index = fs::read_to_string(into.join("index.json")).unwrap();
    assert!(index.contains(&release.digest), "another digest: {index}");
    let served = bench.release_server.fault_proxy.served_since(0);
    let layer = served.iter().find(|one| one.path.ends_with(&release.layer)).unwrap();
    assert_eq!((layer.status, layer.sent), (200, release.layer_bytes));
    assert!(layer.is_blob() && release.layer_bytes > 300_000);
    assert!(served.iter().any(|one| one.status == 401), "nobody was asked for a password: {served:?}");
}

#[test]
fn what_nobody_or_a_stranger_signed_is_not_trusted() {
    let bench = Bench::open();
    let release = bench.release("20261122.1");
    let stranger = SigningKey::make(&bench.tools, bench.release_server.folder(), "stranger").unwrap();
    for (tag, signed) in [("unsigned", Signed::Not), ("strange", Signed::By(&stranger))] {
        // Signatures lie beside the digest: each case has a release of its own.
        let release = bench.base.release(tag).unwrap().write(&bench.place(tag)).unwrap();
        let name = bench.release_server.publish_as(&release, tag, signed).unwrap();
        let error =
            format!("{:#}", bench.fetch(&name, &bench.release_server.key.public, &bench.place("into")).unwrap_err());
        assert!(error.contains("ignature"), "{tag}: {error}");
    }
    let name = bench.release_server.publish(&release).unwrap();
    bench.fetch(&name, &bench.release_server.key.public, &bench.place("trusted")).unwrap();
}

#[test]
fn a_mirror_has_its_own_users_and_the_signature_of_the_original() {
    let bench = Bench::open();
    let mirror = bench.release_server.mirror().unwrap();
    let release = bench.release("20261122.1");
    let name = mirror.publish_for(&bench.release_server, &release).unwrap();
    assert_eq!(name, mirror.name("20261122.1"));
    assert!(
        qemu_vm::release_server::ReleaseServer::authfile(&[&bench.release_server, &mirror]).matches("auth\":").count()
            == 2
    );
    assert!(
        mirror.reported().unwrap().len() == 1 && bench.release_server.reported_with(&[&mirror]).unwrap().len() == 1
    );
}

#[test]
fn a_manifest_may_claim_what_it_likes() {
    let bench = Bench::open();
    let honest = bench.release("20261122.1");
    bench.release_server.publish(&honest).unwrap();
    let huge = 999 << 40;
    let claim = bench.base.release("20261122.1").unwrap().bulk(300_000).claiming(huge);
    let claim = claim.write(&bench.place("claim")).unwrap();
    assert_eq!(claim.layer, honest.layer);
    bench.release_server.publish_claim(&claim).unwrap();
    assert!(String::from_utf8(claim.manifest).unwrap().contains(&huge.to_string()));
}
