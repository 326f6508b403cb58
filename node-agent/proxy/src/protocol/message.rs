//! Requests and replies of the image proxy's protocol, as JSON (containers/skopeo: skopeo-experimental-image-proxy(1)).

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The client asks for at least 0.2.3; with 0.2.7 it may ask for the layers through a pipe. What 0.2.8 adds is not needed
/// by ostree-ext.
pub(crate) const VERSION: &str = "0.2.7";

/// Longer messages are sent by neither side.
pub(crate) const MAX_BYTES: usize = 32 * 1024;

/// What an error may take of a message, each letter up to four bytes or escaped.
const MAX_ERROR_LETTERS: usize = 4_000;

#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    pub(crate) method: String,
    #[serde(default)]
    args: Vec<Value>,
}

impl Request {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).context("reading the request")
    }

    /// The arguments, as a tuple of what the method takes.
    pub(crate) fn arguments<T: DeserializeOwned>(&self, expected: &str) -> Result<T> {
        serde_json::from_value(Value::Array(self.args.clone())).ok().with_context(|| {
            format!("{} was called with {}, expected {expected}", self.method, Value::from(&*self.args))
        })
    }

    /// For methods that take none.
    pub(crate) fn no_arguments(&self) -> Result<()> {
        if !self.args.is_empty() {
            bail!("{} was called with {}, expected no arguments", self.method, Value::from(&*self.args));
        }
        Ok(())
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Reply {
    success: bool,
    value: Value,
    pipeid: u32,
    error: String,
}

impl Reply {
    /// `pipeid` is 0 if no pipe comes along.
    pub(crate) fn done(value: Value, pipeid: u32) -> Self {
        Self { success: true, value, pipeid, error: String::new() }
    }

    pub(crate) fn failed(error: &anyhow::Error) -> Self {
        let error = format!("{error:#}").chars().take(MAX_ERROR_LETTERS).collect();
        Self { success: false, value: Value::Null, pipeid: 0, error }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let bytes = serde_json::to_vec(self).context("encoding the reply")?;
        if bytes.len() > MAX_BYTES {
            bail!("the reply has {} bytes, expected at most {MAX_BYTES}; ask for it through a pipe", bytes.len());
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_checked() {
        let request = Request::parse(br#"{"method":"GetBlob","args":[1,"sha256:a",3]}"#).unwrap();
        assert_eq!(request.arguments::<(u32, String, u64)>("x").unwrap(), (1, "sha256:a".to_owned(), 3));
        let error = request.arguments::<(u32,)>("[image]").unwrap_err().to_string();
        assert_eq!(error, "GetBlob was called with [1,\"sha256:a\",3], expected [image]");
        assert!(request.no_arguments().is_err());
        assert!(Request::parse(br#"{"method":"Shutdown"}"#).unwrap().no_arguments().is_ok());
        assert!(Request::parse(b"[]").is_err());
    }

    #[test]
    fn every_reply_fits_into_a_message() {
        let encode = |reply: Reply| String::from_utf8(reply.encode().unwrap()).unwrap();
        let done = encode(Reply::done(VERSION.into(), 0));
        assert_eq!(done, r#"{"success":true,"value":"0.2.7","pipeid":0,"error":""}"#);
        let failed = encode(Reply::failed(&anyhow::anyhow!("\"ä\"".repeat(20_000)).context("a")));
        assert!(failed.len() < MAX_BYTES && failed.contains(r#""success":false"#), "{}", failed.len());
        assert!(Reply::done("a".repeat(MAX_BYTES).into(), 0).encode().is_err());
    }
}
