//! The clouds: how they name themselves, where their service is, and what it answers to whom.

use std::net::Ipv4Addr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::fault_proxy::head::Head;
use crate::qemu::machine::Identity;

/// What tokens look like here.
const TOKEN: &str = "AQAEAHNldmVuLXRva2VuLW9mLWEtbW9jaw==";
/// Where EC2 and Alibaba Cloud give tokens out.
const TOKEN_PATH: &str = "/latest/api/token";

/// A cloud with a metadata service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon EC2, with instances that insist on tokens (IMDSv2)
    Ec2,
    /// Alibaba Cloud ECS, likewise ("security hardening mode")
    Alibaba,
    /// OpenStack Nova
    OpenStack,
    /// Google Compute Engine
    Gce,
    /// Hetzner Cloud
    Hetzner,
    /// DigitalOcean
    DigitalOcean,
    /// Microsoft Azure
    Azure,
    /// Oracle Cloud Infrastructure
    Oracle,
    /// Vultr
    Vultr,
    /// Scaleway, but for the port that it wants to be asked from: through QEMU's network nobody sees it
    Scaleway,
    /// Exoscale
    Exoscale,
}

/// What a platform gives to a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// What the operator wrote
    pub user_data: Option<String>,
    /// The name
    pub hostname: Option<String>,
}

impl Cloud {
    /// What its firmware says.
    pub fn identity(self) -> Identity {
        let (manufacturer, product, asset_tag) = match self {
            Self::Ec2 => ("Amazon EC2", "t3.nano", None),
            Self::Alibaba => ("Alibaba Cloud", "Alibaba Cloud ECS", None),
            Self::OpenStack => ("OpenStack Foundation", "OpenStack Nova", None),
            Self::Gce => ("Google", "Google Compute Engine", None),
            Self::Hetzner => ("Hetzner", "vServer", None),
            Self::DigitalOcean => ("DigitalOcean", "Droplet", None),
            Self::Azure => ("Microsoft Corporation", "Virtual Machine", Some("7783-7084-3265-9085-8269-3286-77")),
            Self::Oracle => ("QEMU", "Standard PC", Some("OracleCloud.com")),
            Self::Vultr => ("Vultr", "VHF", None),
            Self::Scaleway => ("Scaleway", "SCW-DEV1-S", None),
            Self::Exoscale => ("Exoscale", "Exoscale Compute Platform", None),
        };
        Identity { manufacturer, product, asset_tag }
    }

    /// Where its service is.
    pub fn address(self) -> Ipv4Addr {
        match self {
            Self::Alibaba => Ipv4Addr::new(100, 100, 100, 200),
            Self::Scaleway => Ipv4Addr::new(169, 254, 42, 42),
            Self::Ec2
            | Self::OpenStack
            | Self::Gce
            | Self::Hetzner
            | Self::DigitalOcean
            | Self::Azure
            | Self::Oracle
            | Self::Vultr
            | Self::Exoscale => Ipv4Addr::new(169, 254, 169, 254),
        }
    }

    /// Status and body for a request.
    pub(super) fn answer(self, request: &Head, given: &Given) -> (u16, String) {
        let Ok((method, path)) = request.request() else { return (400, String::new()) };
        let refused = |is_allowed: bool, status| if is_allowed { Ok(()) } else { Err((status, String::new())) };
        let allowed = match self {
            Self::Ec2 => self.token(request, method, path, "X-aws-ec2-metadata-token"),
            Self::Alibaba => self.token(request, method, path, "X-aliyun-ecs-metadata-token"),
            // docs.cloud.google.com, "About VM metadata": without it a request is refused.
            Self::Gce => refused(request.get("Metadata-Flavor") == Some("Google"), 403),
            // learn.microsoft.com, "Azure Instance Metadata Service": without it, or from behind a proxy, 400.
            Self::Azure => {
                refused(request.get("Metadata") == Some("true") && request.get("X-Forwarded-For").is_none(), 400)
            }
            // docs.oracle.com, "Getting Instance Metadata": version 2 wants the header.
            Self::Oracle => refused(request.get("Authorization") == Some("Bearer Oracle"), 404),
            Self::OpenStack | Self::Hetzner | Self::DigitalOcean | Self::Vultr | Self::Scaleway | Self::Exoscale => {
                Ok(())
            }
        };
        if let Err(answer) = allowed {
            return answer;
        }
        if method != "GET" {
            return (405, String::new());
        }
        self.at(path, given).map_or((404, "not found".to_owned()), |body| (200, body))
    }

    /// A token has to be asked for by PUT, with how long it shall hold; all else goes with it only.
    fn token(self, request: &Head, method: &str, path: &str, header: &str) -> Result<(), (u16, String)> {
        if path != TOKEN_PATH {
            return if request.get(header) == Some(TOKEN) { Ok(()) } else { Err((401, String::new())) };
        }
        let seconds = request.get(&format!("{header}-ttl-seconds")).and_then(|value| value.parse::<u32>().ok());
        Err(match (method, seconds) {
            // What a proxy passed on may come from somebody else.
            _ if request.get("X-Forwarded-For").is_some() => (403, String::new()),
            ("PUT", Some(1..=21600)) => (200, TOKEN.to_owned()),
            ("PUT", _) => (400, String::new()),
            _ => (405, String::new()),
        })
    }

    fn at(self, path: &str, given: &Given) -> Option<String> {
        const COMPUTE: &str = "/metadata/instance/compute/";
        const VERSION: &str = "?api-version=2021-01-01&format=text";
        let hostname = given.hostname.clone();
        // Those give text in base64, whatever it was.
        let encoded = || given.user_data.as_ref().map(|text| STANDARD.encode(text));
        let azure = path.strip_prefix(COMPUTE).and_then(|path| path.strip_suffix(VERSION));
        match (self, path) {
            // What is not there is empty.
            (Self::Azure, _) if azure == Some("userData") => Some(encoded().unwrap_or_default()),
            (Self::Azure, _) if azure == Some("osProfile/computerName") => hostname,
            (Self::Oracle, "/opc/v2/instance/metadata/user_data") => encoded(),
            (Self::Hetzner, "/hetzner/v1/metadata") => Some(format!(
                "availability-zone: fsn1-dc14\nhostname: {}\ninstance-id: 42\nregion: eu-central\n",
                hostname?
            )),
            (Self::Scaleway, "/conf?format=json") => {
                Some(serde_json::json!({"id": "d8e02d56", "name": "node", "hostname": hostname?}).to_string())
            }
            (Self::Hetzner, "/hetzner/v1/userdata")
            | (Self::DigitalOcean, "/metadata/v1/user-data")
            | (Self::Vultr, "/latest/user-data")
            | (Self::Scaleway, "/user_data/cloud-init")
            | (Self::Exoscale, "/1.0/user-data") => given.user_data.clone(),
            (Self::DigitalOcean, "/metadata/v1/hostname")
            | (Self::Oracle, "/opc/v2/instance/hostname")
            | (Self::Vultr, "/v1/hostname")
            | (Self::Exoscale, "/1.0/meta-data/local-hostname") => hostname,
            (Self::Ec2 | Self::Alibaba, "/latest/user-data")
            | (Self::OpenStack, "/openstack/latest/user_data")
            | (Self::Gce, "/computeMetadata/v1/instance/attributes/user-data") => given.user_data.clone(),
            (Self::Ec2, "/latest/meta-data/local-hostname")
            | (Self::Alibaba, "/latest/meta-data/hostname")
            | (Self::Gce, "/computeMetadata/v1/instance/hostname") => hostname,
            (Self::OpenStack, "/openstack/latest/meta_data.json") => {
                Some(serde_json::json!({"uuid": "d8e02d56", "hostname": hostname?, "name": "node"}).to_string())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(cloud: Cloud, request: &str) -> (u16, String) {
        let text = format!("{request}\r\n\r\n");
        let (head, _) = Head::read(&mut text.as_bytes()).unwrap().unwrap();
        cloud.answer(&head, &Given { user_data: Some("a = 1".into()), hostname: Some("n".into()) })
    }

    #[test]
    fn ec2_answers_with_its_token_only() {
        let token = |headers: &str| ask(Cloud::Ec2, &format!("PUT /latest/api/token HTTP/1.1{headers}"));
        assert_eq!(token("\r\nx-aws-ec2-metadata-token-ttl-seconds: 300"), (200, TOKEN.into()));
        assert_eq!(token("").0, 400);
        assert_eq!(token("\r\nx-aws-ec2-metadata-token-ttl-seconds: 30000").0, 400);
        assert_eq!(token("\r\nx-aws-ec2-metadata-token-ttl-seconds: 300\r\nX-Forwarded-For: a").0, 403);
        assert_eq!(ask(Cloud::Ec2, "GET /latest/user-data HTTP/1.1").0, 401);
        let with = format!("GET /latest/user-data HTTP/1.1\r\nX-aws-ec2-metadata-token: {TOKEN}");
        assert_eq!(ask(Cloud::Ec2, &with), (200, "a = 1".into()));
        // The other cloud's header is none.
        assert_eq!(ask(Cloud::Alibaba, &with).0, 401);
    }

    #[test]
    fn the_others_answer_at_their_own_places() {
        let gce = "GET /computeMetadata/v1/instance/hostname HTTP/1.1";
        assert_eq!(ask(Cloud::Gce, gce).0, 403);
        assert_eq!(ask(Cloud::Gce, &format!("{gce}\r\nMetadata-Flavor: Google")), (200, "n".into()));
        let (status, text) = ask(Cloud::OpenStack, "GET /openstack/latest/meta_data.json HTTP/1.1");
        assert!(status == 200 && text.contains("\"hostname\":\"n\""), "{text}");
        assert_eq!(ask(Cloud::OpenStack, "GET /latest/user-data HTTP/1.1").0, 404);
        let azure = "GET /metadata/instance/compute/userData?api-version=2021-01-01&format=text HTTP/1.1";
        assert_eq!(ask(Cloud::Azure, azure).0, 400);
        assert_eq!(ask(Cloud::Azure, &format!("{azure}\r\nMetadata: true")), (200, "YSA9IDE=".into()));
        let oracle = "GET /opc/v2/instance/metadata/user_data HTTP/1.1";
        assert_eq!(ask(Cloud::Oracle, oracle).0, 404);
        assert_eq!(ask(Cloud::Oracle, &format!("{oracle}\r\nAuthorization: Bearer Oracle")), (200, "YSA9IDE=".into()));
        assert_eq!(ask(Cloud::Vultr, "GET /v1/hostname HTTP/1.1"), (200, "n".into()));
        assert_eq!(ask(Cloud::Exoscale, "GET /1.0/user-data HTTP/1.1"), (200, "a = 1".into()));
        assert!(ask(Cloud::Hetzner, "GET /hetzner/v1/metadata HTTP/1.1").1.contains("\nhostname: n\n"));
    }
}
