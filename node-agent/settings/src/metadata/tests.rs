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
        assert_eq!(session.answer(Answer { status, body: body.as_bytes() }), Step::Next);
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
        (Dmi { vendor: "Hetzner", product: "vServer", ..dmi }, Some(Service::Hetzner)),
        (Dmi { vendor: "DigitalOcean", product: "Droplet", ..dmi }, Some(Service::DigitalOcean)),
        (
            Dmi { vendor: "Microsoft Corporation", asset_tag: "7783-7084-3265-9085-8269-3286-77\n", ..dmi },
            Some(Service::Azure),
        ),
        (Dmi { vendor: "Microsoft Corporation", product: "Virtual Machine", ..dmi }, None),
        (Dmi { vendor: "QEMU", asset_tag: "OracleCloud.com", ..dmi }, Some(Service::Oracle)),
        (Dmi { vendor: "Vultr", product: "VHF", ..dmi }, Some(Service::Vultr)),
        (Dmi { vendor: "Scaleway", product: "SCW-DEV1-S", ..dmi }, Some(Service::Scaleway)),
        (Dmi { vendor: "Exoscale", product: "Exoscale Compute Platform", ..dmi }, Some(Service::Exoscale)),
        (Dmi { vendor: "QEMU", product: "Standard PC (Q35 + ICH9, 2009)", ..dmi }, None),
        (dmi, None),
    ];
    for (dmi, expected) in table {
        assert_eq!(dmi.service(), expected, "{dmi:?}");
    }
}

#[test]
fn a_cloud_that_nobody_asks_has_a_name() {
    let dmi = Dmi::default();
    for (dmi, expected) in [
        (Dmi { vendor: "UpCloud\n", product: "Server", ..dmi }, Some("UpCloud")),
        (
            Dmi { vendor: "Apache Software Foundation", product: "CloudStack KVM Hypervisor", ..dmi },
            Some("Apache CloudStack"),
        ),
        (Dmi { vendor: "Tencent Cloud", product: "CVM", ..dmi }, Some("Tencent Cloud")),
        (Dmi { asset_tag: "123.zstack.io", ..dmi }, Some("ZStack")),
        (Dmi { vendor: "Hetzner", ..dmi }, None),
        (Dmi { vendor: "QEMU", product: "Standard PC (Q35 + ICH9, 2009)", ..dmi }, None),
        (Dmi { vendor: "Dell Inc.", product: "PowerEdge R640", ..dmi }, None),
        (dmi, None),
    ] {
        assert_eq!(dmi.unasked(), expected, "{dmi:?}");
    }
}

/// What each of the newer clouds is asked for and answers with: its user-data, a name, and what goes with a request.
#[test]
fn each_cloud_has_paths_and_headers_of_its_own() {
    const SAID: &str = "#cloud-config\ntimezone: UTC\n";
    const ENCODED: &str = "I2Nsb3VkLWNvbmZpZwp0aW1lem9uZTogVVRDCg==";
    let azure = "/metadata/instance/compute/";
    let user_data = format!("GET {azure}userData?api-version=2021-01-01&format=text");
    let name = format!("GET {azure}osProfile/computerName?api-version=2021-01-01&format=text");
    type Answer<'a> = (&'a str, u16, &'a str);
    let table: [(Service, [Answer<'_>; 2], &str); 7] = [
        (
            Service::Hetzner,
            [("GET /hetzner/v1/userdata", 200, ENCODED), ("GET /hetzner/v1/metadata", 200, "hostname: node1\n")],
            "",
        ),
        (
            Service::DigitalOcean,
            [("GET /metadata/v1/user-data", 200, SAID), ("GET /metadata/v1/hostname", 200, "node1")],
            "",
        ),
        (Service::Azure, [(&user_data, 200, ENCODED), (&name, 200, "node1")], " Metadata=true"),
        (
            Service::Oracle,
            [
                ("GET /opc/v2/instance/metadata/user_data", 200, ENCODED),
                ("GET /opc/v2/instance/hostname", 200, "node1"),
            ],
            " Authorization=Bearer Oracle",
        ),
        (Service::Vultr, [("GET /latest/user-data", 200, SAID), ("GET /v1/hostname", 200, "node1")], ""),
        (
            Service::Scaleway,
            [
                ("GET /user_data/cloud-init", 200, SAID),
                ("GET /conf?format=json", 200, "{\n\t\"id\": \"1\",\n\t\"hostname\": \"node1\"\n}"),
            ],
            "",
        ),
        (
            Service::Exoscale,
            [("GET /1.0/user-data", 200, SAID), ("GET /1.0/meta-data/local-hostname", 200, "node1")],
            "",
        ),
    ];
    for (service, cloud, headers) in table {
        let (asked, session) = converse(service, &cloud);
        assert_eq!(asked, cloud.map(|(line, _, _)| format!("{line}{headers}")));
        let (found, problems) = session.finish();
        let sources: Vec<_> = found.iter().map(Found::source).collect();
        let (settings, reported) = crate::settings(&sources);
        assert_eq!((settings.hostname.unwrap().as_str(), problems, reported), ("node1", vec![], vec![]), "{service:?}");
        assert!(settings.time.zone.is_some(), "{service:?}");
        let nothing: Cloud<'_> = &[(cloud[0].0, 200, "\n"), (cloud[1].0, 204, "")];
        assert_eq!(converse(service, nothing).1.finish(), (vec![], vec![]), "{service:?}");
        let request = Session::new(service).request().unwrap();
        assert_eq!(request.from_privileged_port, service == Service::Scaleway);
    }
    let broken: Cloud<'_> = &[(&user_data, 200, "no base64!")];
    let reported = converse(Service::Azure, broken).1.finish().1;
    assert_eq!(
        reported[0].to_string(),
        "Azure userData: its metadata service answered with something that is not base64"
    );
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
    let (settings, reported) = crate::settings(&sources);
    assert_eq!((settings.hostname.unwrap().as_str(), problems, reported), ("mine", vec![], vec![]));
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
    let (settings, reported) = crate::settings(&sources);
    assert_eq!((settings.hostname.unwrap().as_str(), reported), ("node1", vec![]));
    assert!(settings.time.zone.is_some());

    let (asked, session) = converse(Service::Gce, &[]);
    assert_eq!(asked[0], "GET /computeMetadata/v1/instance/attributes/user-data Metadata-Flavor=Google");
    assert_eq!(session.finish(), (vec![], vec![]));
}

#[test]
fn what_goes_wrong_is_reported() {
    for service in Service::ALL {
        let mut session = Session::new(service);
        for status in [500, 503, 429, 410] {
            assert_eq!(session.answer(Answer { status, body: b"" }), Step::Again);
        }
        session.give_up("connection refused");
        assert_eq!(session.request(), None);
        let reported: Vec<String> = session.finish().1.iter().map(Problem::to_string).collect();
        assert!(
            matches!(reported.as_slice(), [reported] if reported.ends_with("gives no answer: connection refused")),
            "{reported:?}"
        );
    }
    let refused: Cloud<'_> = &[("PUT /latest/api/token", 200, "two words"), ("GET /latest/user-data", 401, "")];
    let reported: Vec<String> = converse(Service::Ec2, refused).1.finish().1.iter().map(Problem::to_string).collect();
    assert_eq!(
        reported,
        [
            "EC2 user-data: its metadata service answered with something that is no token",
            "EC2 user-data: its metadata service answered with the status 401",
        ]
    );
}
