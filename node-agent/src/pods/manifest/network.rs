//! What a pod is called and whom it asks for names: hostname, subdomain, hostAliases, dnsPolicy, dnsConfig.

use std::net::IpAddr;

use super::{names, pod::NAME, reader::Fields};
use crate::pods::model::{Dns, HostAlias, Naming};

/// Linux' resolvers read no more (resolv.conf(5), and what Kubernetes allows).
const MOST_SERVERS: usize = 3;
const MOST_SEARCHES: usize = 32;

/// Whether the node's resolver is asked: without a cluster there is no cluster's.
const POLICIES: [(&str, bool); 4] =
    [("ClusterFirst", true), ("ClusterFirstWithHostNet", true), ("Default", true), ("None", false)];

pub(super) fn naming(fields: &mut Fields<'_>) -> Naming {
    let label = |fields: &mut Fields<'_>, key: &'static str| {
        let said = fields.text(key).filter(|said| !said.text.is_empty())?;
        fields.require(names::is_label(said.text), said, key, NAME);
        Some(said.text.to_owned())
    };
    Naming {
        hostname: label(fields, "hostname"),
        subdomain: label(fields, "subdomain"),
        has_full_name: fields.flag("setHostnameAsFQDN").unwrap_or_default(),
        aliases: fields.all("hostAliases").into_iter().filter_map(alias).collect(),
    }
}

fn alias(mut fields: Fields<'_>) -> Option<HostAlias> {
    let address = fields.need("ip");
    if let Some(address) = address {
        fields.require(address.text.parse::<IpAddr>().is_ok(), address, "ip", "expected an IP address");
    }
    let names = fields.said("hostnames");
    for (index, name) in names.iter().enumerate() {
        let is_name = names::is_subdomain(name.text);
        fields.require(is_name, *name, &format!("hostnames[{index}]"), NAME);
    }
    fields.finish();
    let names = names.iter().map(|name| name.text.to_owned()).collect();
    Some(HostAlias { address: address?.text.to_owned(), names })
}

pub(super) fn dns(fields: &mut Fields<'_>) -> Dns {
    let policy = fields.word("dnsPolicy", &POLICIES);
    if policy == Some(true) {
        fields.note("dnsPolicy", "without effect on this node: its own resolver is asked");
    }
    let line = fields.line_of("dnsPolicy");
    let mut dns = fields.fields("dnsConfig").map(config).unwrap_or_default();
    dns.is_alone = policy == Some(false);
    if dns.is_alone && dns.servers.is_empty() {
        fields.refuse_at(line, "dnsPolicy", "None needs nameservers in dnsConfig");
    }
    dns
}

fn config(mut fields: Fields<'_>) -> Dns {
    let servers = fields.said("nameservers");
    for (index, server) in servers.iter().enumerate() {
        let key = format!("nameservers[{index}]");
        fields.require(server.text.parse::<IpAddr>().is_ok(), *server, &key, "expected an IP address");
        fields.require(index < MOST_SERVERS, *server, &key, "more than 3 are not asked");
    }
    let searches = fields.said("searches");
    for (index, search) in searches.iter().enumerate() {
        let key = format!("searches[{index}]");
        let is_domain = !search.text.is_empty() && !search.text.contains(char::is_whitespace);
        fields.require(is_domain, *search, &key, "expected a domain");
        fields.require(index < MOST_SEARCHES, *search, &key, "more than 32 are not possible");
    }
    let options = fields.all("options").into_iter().filter_map(|mut option| {
        let (name, value) = (option.need("name"), option.text("value"));
        option.finish();
        let name = name?.text;
        Some(value.map_or(name.to_owned(), |value| format!("{name}:{}", value.text)))
    });
    let options = options.collect();
    fields.finish();
    let texts = |said: &[super::reader::Said<'_>]| said.iter().map(|said| said.text.to_owned()).collect();
    Dns { servers: texts(&servers), searches: texts(&searches), options, is_alone: false }
}
