//! spec.containers\[\].livenessProbe, readinessProbe, startupProbe, with Kubernetes' defaults
//! (kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes).

use std::time::Duration;

use super::{
    lifecycle::{Inside, command, http_get, port},
    reader::Fields,
};
use crate::pods::probes::model::{Check, Kind, Probe, Probes};

/// A day: longer is a mistake.
const LONGEST_SECS: u64 = 24 * 3600;

/// More in a row are a mistake.
const MOST: u64 = 1_000_000;

const ACTIONS: &str = "expected one of exec, httpGet, tcpSocket, grpc";

/// All probes of the container.
pub(super) fn probes(fields: &mut Fields<'_>, inside: &Inside<'_>) -> Probes {
    Probes {
        startup: fields.fields("startupProbe").and_then(|one| probe(one, Kind::Startup, inside)),
        liveness: fields.fields("livenessProbe").and_then(|one| probe(one, Kind::Liveness, inside)),
        readiness: fields.fields("readinessProbe").and_then(|one| probe(one, Kind::Readiness, inside)),
    }
}

fn probe(mut fields: Fields<'_>, kind: Kind, inside: &Inside<'_>) -> Option<Probe> {
    let check = check(&mut fields, inside);
    // 0 is what is not said, but for the delay (so does an API server).
    let mut secs = |key: &'static str, default: u64| {
        Duration::from_secs(fields.number(key, LONGEST_SECS).filter(|secs| *secs > 0).unwrap_or(default))
    };
    let (initial_delay, timeout, period) =
        (secs("initialDelaySeconds", 0), secs("timeoutSeconds", 1), secs("periodSeconds", 10));
    let grace = fields.number("terminationGracePeriodSeconds", LONGEST_SECS);
    if grace.is_some() && kind == Kind::Readiness {
        let message = "is not possible here: a readiness probe ends nothing";
        fields.refuse_at(fields.line_of("terminationGracePeriodSeconds"), "terminationGracePeriodSeconds", message);
    }
    if grace == Some(0) {
        fields.refuse_at(
            fields.line_of("terminationGracePeriodSeconds"),
            "terminationGracePeriodSeconds",
            "expected at least 1",
        );
    }
    let mut count = |key: &'static str, default: u32| {
        let said = fields.number(key, MOST).and_then(|count| u32::try_from(count).ok());
        said.filter(|count| *count > 0).unwrap_or(default)
    };
    let (successes, failures) = (count("successThreshold", 1), count("failureThreshold", 3));
    if successes != 1 && kind != Kind::Readiness {
        fields.refuse_at(
            fields.line_of("successThreshold"),
            "successThreshold",
            &format!("expected 1, as of every {kind}"),
        );
    }
    fields.finish();
    Some(Probe {
        check: check?,
        initial_delay,
        period,
        timeout,
        successes,
        failures,
        grace: grace.map(Duration::from_secs),
    })
}

fn check(fields: &mut Fields<'_>, inside: &Inside<'_>) -> Option<Check> {
    let exec = fields.fields("exec");
    let http = fields.fields("httpGet");
    let tcp = fields.fields("tcpSocket");
    let grpc = fields.fields("grpc");
    let count = [exec.is_some(), http.is_some(), tcp.is_some(), grpc.is_some()].into_iter().filter(|one| *one).count();
    if count != 1 {
        fields.refuse_at(
            fields.line(),
            "",
            if count == 0 { ACTIONS } else { "expected only one of exec, httpGet, tcpSocket, grpc" },
        );
    }
    let exec = exec.and_then(|exec| command(exec, inside)).map(|command| Check::Exec { command });
    let http = http.and_then(|http| http_get(http, inside)).map(Check::Http);
    let tcp = tcp.and_then(|mut tcp| {
        let host = tcp.text("host").map(|host| host.text.to_owned()).filter(|host| !host.is_empty());
        let port = port(&mut tcp, inside);
        tcp.finish();
        Some(Check::Tcp { host, port: port? })
    });
    let grpc = grpc.and_then(|mut grpc| {
        let port =
            grpc.number("port", u64::from(u16::MAX)).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        if port.is_none() {
            grpc.refuse_at(grpc.line(), "port", "expected a port's number");
        }
        let service = grpc.text("service").map_or("", |service| service.text).to_owned();
        grpc.finish();
        Some(Check::Grpc { port: port?, service })
    });
    exec.or(http).or(tcp).or(grpc)
}
