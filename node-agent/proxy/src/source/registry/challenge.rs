//! What a registry says when it wants to know who we are: HTTP Basic, or a token from a server that it names
//! (distribution/distribution: spec/auth/token.md, oauth.md). Pure.

use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};
use http_auth::ChallengeParser;
use serde::Deserialize;

use crate::config::Credentials;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: String, scope: String },
}

impl Challenge {
    /// The first that we can answer; a token before a password.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self> {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let mut schemes = Vec::new();
        let mut found = None;
        for challenge in texts.flat_map(|text| ChallengeParser::new(text).map_while(Result::ok)) {
            let of = |key: &str| {
                let value = challenge.params.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
                value.map(|(_, value)| value.to_unescaped()).unwrap_or_default()
            };
            match challenge.scheme.to_ascii_lowercase().as_str() {
                "bearer" => return Ok(Self::Bearer { realm: of("realm"), service: of("service"), scope: of("scope") }),
                "basic" => found = Some(Self::Basic),
                _ => {}
            }
            schemes.push(challenge.scheme.to_owned());
        }
        found.with_context(|| format!("it asks who we are by {schemes:?}, expected Basic or Bearer"))
    }
}

pub(super) fn basic(user: &str, password: &str) -> Result<HeaderValue> {
    secret(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

/// What the token server answers.
#[derive(Deserialize)]
pub(super) struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

impl Token {
    pub(super) fn authorization(self) -> Result<HeaderValue> {
        let token = if self.token.is_empty() { self.access_token } else { self.token };
        if token.is_empty() {
            bail!("its answer has no token");
        }
        secret(format!("Bearer {token}"))
    }
}

fn secret(text: String) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok().context("credentials with letters that HTTP does not allow")?;
    value.set_sensitive(true);
    Ok(value)
}

/// How a token is asked for: the URL, who asks, and a form if it is sent as one.
pub(super) struct TokenRequest {
    pub(super) url: String,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) form: Option<String>,
}

impl TokenRequest {
    /// `scope` is what we need; the registry's word for it is taken if it says one.
    pub(super) fn new(challenge: (&str, &str, &str), needed: &str, credentials: Option<&Credentials>) -> Result<Self> {
        let (realm, service, scope) = challenge;
        let scope = if scope.is_empty() { needed } else { scope };
        let query = format!("service={}&scope={}", escape(service), escape(scope));
        let joint = if realm.contains('?') { '&' } else { '?' };
        let url = format!("{realm}{joint}{query}");
        Ok(match credentials {
            None | Some(Credentials::Unusable(_)) => Self { url, authorization: None, form: None },
            Some(Credentials::Password { user, password }) => {
                Self { url, authorization: Some(basic(user, password)?), form: None }
            }
            Some(Credentials::IdentityToken(token)) => {
                let form =
                    format!("grant_type=refresh_token&client_id=ballast&{query}&refresh_token={}", escape(token));
                Self { url: realm.to_owned(), authorization: None, form: Some(form) }
            }
        })
    }
}

/// All but the unreserved letters of RFC 3986.
fn escape(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let letters =
        text.bytes().map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Result<Challenge> {
        Challenge::read(&texts.iter().map(|text| (WWW_AUTHENTICATE, text.parse().unwrap())).collect())
    }

    #[test]
    fn challenges_are_read() {
        let bearer = r#"Bearer realm="https://t.example/token?a=1",service="r.example",scope="repository:os:pull""#;
        let expected = Challenge::Bearer {
            realm: "https://t.example/token?a=1".into(),
            service: "r.example".into(),
            scope: "repository:os:pull".into(),
        };
        assert_eq!(read(&[bearer]).unwrap(), expected);
        assert_eq!(read(&["Basic realm=\"x\"", bearer]).unwrap(), expected);
        assert_eq!(read(&["Digest realm=\"x\", basic realm=\"x\""]).unwrap(), Challenge::Basic);
        for bad in [&["Digest realm=\"x\""][..], &["Negotiate"], &[""], &[]] {
            assert!(read(bad).unwrap_err().to_string().ends_with("expected Basic or Bearer"));
        }
    }

    #[test]
    fn tokens_are_asked_for_with_what_is_known() {
        let ask = |credentials: Option<&Credentials>, scope| {
            let request =
                TokenRequest::new(("https://t.example/token", "a b", scope), "repository:os:pull", credentials)
                    .unwrap();
            let authorization = request.authorization.map(|value| value.to_str().unwrap().to_owned());
            (request.url, authorization, request.form)
        };
        let url = "https://t.example/token?service=a%20b&scope=repository%3Aos%3Apull".to_owned();
        assert_eq!(ask(None, ""), (url.clone(), None, None));
        let password = Credentials::Password { user: "u".into(), password: "p".into() };
        assert_eq!(ask(Some(&password), ""), (url, Some("Basic dTpw".into()), None));
        let (url, authorization, form) = ask(Some(&Credentials::IdentityToken("t&".into())), "x");
        assert_eq!((url.as_str(), authorization), ("https://t.example/token", None));
        let form = form.unwrap();
        assert_eq!(form, "grant_type=refresh_token&client_id=ballast&service=a%20b&scope=x&refresh_token=t%26");
    }

    #[test]
    fn a_token_is_needed() {
        let read = |text: &str| serde_json::from_str::<Token>(text).unwrap().authorization();
        assert_eq!(read(r#"{"token":"a"}"#).unwrap(), "Bearer a");
        assert_eq!(read(r#"{"access_token":"b","expires_in":1}"#).unwrap(), "Bearer b");
        assert!(read("{}").is_err() && read(r#"{"token":"a\nb"}"#).is_err());
    }
}
