//! Finding a cluster's CA by the hash of its key, as `kubeadm join` does: the cluster says it to everyone, in the ConfigMap
//! kube-public/cluster-info, and only a CA whose key has that hash is believed.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{
    Problem,
    certificate::Certificate,
    kubeconfig,
    store::{Kept, Store},
};
use crate::client::{Api, Client, Counters, Identity, Server, Trust};

/// What is being done, for errors.
const DOING: &str = "reading the cluster's CA (the ConfigMap kube-public/cluster-info, which kubeadm makes)";

/// The CA with that hash, in PEM: the one that is kept, else the one that the cluster reports, which is then kept.
pub(crate) async fn authority(
    servers: &[Server],
    hash: &str,
    store: &Store,
    counters: &Arc<Counters>,
) -> Result<String, Problem> {
    // The hash in the settings may have been changed since.
    if let Some(kept) = store.read(Kept::Authority).await.map_err(Problem::Own)?
        && let Ok(Some(kept)) = with_hash(&kept, hash)
    {
        return Ok(kept);
    }
    let client = Client::new(servers.to_vec(), &Trust::NoCertVerification, &Identity::Nobody, counters.clone())
        .map_err(Problem::Own)?;
    let maps: Api<ConfigMap> = Api::namespaced(&client.own(), "kube-public");
    let info = maps.get("cluster-info").await.map_err(|failure| Problem::Asking(DOING, failure))?;
    let text = info.data.and_then(|mut data| data.remove("kubeconfig"));
    let text = text.ok_or_else(|| Problem::Refused("kube-public/cluster-info has no key \"kubeconfig\"".to_owned()))?;
    let wrong = |error| Problem::Refused(format!("kube-public/cluster-info cannot be used: {error}"));
    let found = with_hash(&kubeconfig::authority(&text).map_err(wrong)?, hash).map_err(wrong)?;
    let found = found.ok_or_else(|| {
        Problem::Refused(format!(
            "no CA of kube-public/cluster-info has the key hash sha256:{hash} of ca_hash; this may be another cluster"
        ))
    })?;
    store.write(Kept::Authority, found.clone()).await.map_err(Problem::Own)?;
    Ok(found)
}

/// Of the certificates in `pem` those with that hash.
fn with_hash(pem: &str, hash: &str) -> Result<Option<String>, String> {
    let read = Certificate::parse_all(pem)?;
    let ders = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let ders = ders.map_err(|error| error.to_string())?;
    let right = read.iter().zip(ders).filter(|(certificate, _)| certificate.key_hash.eq_ignore_ascii_case(hash));
    let found: String = right.map(|(_, der)| in_pem(&der)).collect();
    Ok(Some(found).filter(|found| !found.is_empty()))
}

fn in_pem(der: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
        let hash = Certificate::parse(&pem).unwrap().key_hash;
        (pem, hash)
    }

    #[test]
    fn only_the_ca_with_the_hash_is_taken() {
        let ((first, first_hash), (second, second_hash)) = (made(), made());
        let both = format!("{first}{second}");
        let hash_of = |pem: &str| {
            Certificate::parse_all(pem).unwrap().iter().map(|read| read.key_hash.clone()).collect::<Vec<_>>()
        };
        for hash in [first_hash, second_hash] {
            let found = with_hash(&both, &hash).unwrap().unwrap();
            assert_eq!(hash_of(&found), [hash]);
        }
        assert_eq!(with_hash(&both, &"0".repeat(64)), Ok(None));
        assert!(with_hash("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "").is_err());
    }
}
