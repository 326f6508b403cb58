//! The clouds: how they name themselves, where their service is, and what it answers to whom.

use std::net::Ipv4Addr;

use crate::door::head::Head;
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
        let (manufacturer, product) = match self {
            Self::Ec2 => ("Amazon EC2", "t3.nano"),
            Self::Alibaba => ("Alibaba Cloud", "Alibaba Cloud ECS"),
            Self::OpenStack => ("OpenStack Foundation", "OpenStack Nova"),
            Self::Gce => ("Google", "Google Compute Engine"),
        };
        Identity { manufacturer, product }
    }

    /// Where its service is.
    pub fn address(self) -> Ipv4Addr {
        match self {
            Self::Alibaba => Ipv4Addr::new(100, 100, 100, 200),
            Self::Ec2 | Self::OpenStack | Self::Gce => Ipv4Addr::new(169, 254, 169, 254),
        }
    }

    /// Status and body for a request.
    pub(super) fn answer(self, request: &Head, given: &Given) -> (u16, String) {
        let Ok((method, path)) = request.request() else { return (400, String::new()) };
        let allowed = match self {
            Self::Ec2 => self.token(request, method, path, "X-aws-ec2-metadata-token"),
            Self::Alibaba => self.token(request, method, path, "X-aliyun-ecs-metadata-token"),
            Self::OpenStack => Ok(()),
            // docs.cloud.google.com, "About VM metadata": without it a request is refused.
            Self::Gce => (request.get("Metadata-Flavor") == Some("Google")).then_some(()).ok_or((403, String::new())),
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
        let hostname = given.hostname.clone();
        match (self, path) {
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
    }
}
