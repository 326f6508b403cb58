//! Conversations, from the first request to the settings.

use super::*;
use crate::model::Problem;

/// What a cloud answers: method and path, status, body.
type Cloud<'a> = &'a [(&'a str, u16, &'a str)];

/// All that was asked, with its headers, and what came of it.
fn converse(service: Service, cloud: Cloud<'_>) -> (Vec<String>, Session) {
    let mut session = Session::new(service);
    let mut asked = Vec::new();
    while let Some(request) = session.request() {
        let line = format!("{} {}", request.method, request.path);
        let headers = request.headers.iter().map(|(name, value)| format!(" {name}={}", value.reveal()));
        asked.push(format!("{line}{}", headers.collect::<String>()));
        assert!(asked.len() < 10, "{asked:?}");
        let answer = cloud.iter().find(|(known, _, _)| *known == line);
        let (status, body) = answer.map_or((404, ""), |(_, status, body)| (*status, *body));
        assert_eq!(session.answer(Answer { status, body: body.as_bytes() }), Turn::Next);
    }
    (asked, session)
}

#[test]
fn a_cloud_is_known_by_its_firmware() {
    let dmi = Dmi::default();
    let table = [
        (Dmi { vendor: "Amazon EC2\n", product: "m5.large", ..dmi }, Some(Service::Ec2)),
        (Dmi { vendor: "Xen", bios_version: "4.11.amazon", ..dmi }, Some(Service::Ec2)),
        (Dmi { vendor: "Xen", bios_version: "4.17", ..dmi }, None),
        (Dmi { vendor: "Alibaba Cloud", product: "Alibaba Cloud ECS", ..dmi }, Some(Service::Alibaba)),
        (Dmi { vendor: "Google", product: "Google Compute Engine", ..dmi }, Some(Service::Gce)),
        (Dmi { vendor: "OpenStack Foundation", product: "OpenStack Nova", ..dmi }, Some(Service::OpenStack)),
        (Dmi { vendor: "QEMU", asset_tag: "OpenTelekomCloud", ..dmi }, Some(Service::OpenStack)),
        (Dmi { vendor: "QEMU", product: "Standard PC (Q35 + ICH9, 2009)", ..dmi }, None),
        (dmi, None),
    ];
    for (dmi, expected) in table {
        assert_eq!(dmi.service(), expected, "{dmi:?}");
    }
}

#[test]
fn ec2_is_asked_with_a_token() {
    let cloud: Cloud<'_> = &[
        ("PUT /latest/api/token", 200, "T0ken==\n"),
        ("GET /latest/user-data", 200, "hostname = \"mine\"\n"),
        ("GET /latest/meta-data/local-hostname", 200, "ip-10-0-0-1.ec2.internal"),
    ];
    let (asked, session) = converse(Service::Ec2, cloud);
    assert_eq!(
        asked,
        [
            "PUT /latest/api/token X-aws-ec2-metadata-token-ttl-seconds=300",
            "GET /latest/user-data X-aws-ec2-metadata-token=T0ken==",
            "GET /latest/meta-data/local-hostname X-aws-ec2-metadata-token=T0ken==",
        ]
    );
    assert!(!format!("{session:?}").contains("T0ken"), "{session:?}");
    let (found, problems) = session.finish();
    let sources: Vec<_> = found.iter().map(Found::source).collect();
    let (settings, told) = crate::settings(&sources);
    assert_eq!((settings.hostname.unwrap().as_str(), problems, told), ("mine", vec![], vec![]));
}

#[test]
fn a_service_without_tokens_is_asked_without() {
    let cloud: Cloud<'_> = &[("PUT /latest/api/token", 403, ""), ("GET /latest/meta-data/hostname", 200, "iZbp1")];
    let (asked, session) = converse(Service::Alibaba, cloud);
    assert_eq!(asked.last().unwrap(), "GET /latest/meta-data/hostname");
    let (found, problems) = session.finish();
    let sources: Vec<_> = found.iter().map(Found::source).collect();
    assert_eq!(crate::settings(&sources).0.hostname.unwrap().as_str(), "izbp1");
    assert_eq!(problems, []);
}

#[test]
fn openstack_and_gce_have_paths_and_headers_of_their_own() {
    let cloud: Cloud<'_> = &[
        ("GET /openstack/latest/user_data", 200, "#cloud-config\ntimezone: UTC\n"),
        ("GET /openstack/latest/meta_data.json", 200, "{\"hostname\": \"node1\"}"),
    ];
    let (_, session) = converse(Service::OpenStack, cloud);
    let (found, _) = session.finish();
    let sources: Vec<_> = found.iter().map(Found::source).collect();
    let (settings, told) = crate::settings(&sources);
    assert_eq!((settings.hostname.unwrap().as_str(), told), ("node1", vec![]));
    assert!(settings.time.zone.is_some());

    let (asked, session) = converse(Service::Gce, &[]);
    assert_eq!(asked[0], "GET /computeMetadata/v1/instance/attributes/user-data Metadata-Flavor=Google");
    assert_eq!(session.finish(), (vec![], vec![]));
}

#[test]
fn what_goes_wrong_is_told() {
    for service in Service::ALL {
        let mut session = Session::new(service);
        for status in [500, 503, 429] {
            assert_eq!(session.answer(Answer { status, body: b"" }), Turn::Again);
        }
        session.give_up("connection refused");
        assert_eq!(session.request(), None);
        let told: Vec<String> = session.finish().1.iter().map(Problem::to_string).collect();
        assert!(matches!(told.as_slice(), [told] if told.ends_with("gives no answer: connection refused")), "{told:?}");
    }
    let refused: Cloud<'_> = &[("PUT /latest/api/token", 200, "two words"), ("GET /latest/user-data", 401, "")];
    let told: Vec<String> = converse(Service::Ec2, refused).1.finish().1.iter().map(Problem::to_string).collect();
    assert_eq!(
        told,
        [
            "EC2 user-data: its metadata service answered with something that is no token",
            "EC2 user-data: its metadata service answered with the status 401",
        ]
    );
}
