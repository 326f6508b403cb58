//! What a probe asks and how answers count: the valid form of a manifest's probes and hooks.

use std::{fmt, time::Duration};

use serde::Serialize;

/// The probes of a container; most have none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Probes {
    /// Holds the others back until it succeeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup: Option<Probe>,
    /// Restarts the container when it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Probe>,
    /// Says whether the container is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Probe>,
}

impl Probes {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The probe of this kind.
    pub fn get(&self, kind: Kind) -> Option<&Probe> {
        match kind {
            Kind::Startup => self.startup.as_ref(),
            Kind::Liveness => self.liveness.as_ref(),
            Kind::Readiness => self.readiness.as_ref(),
        }
    }
}

/// Which of a container's probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// startupProbe
    Startup,
    /// livenessProbe
    Liveness,
    /// readinessProbe
    Readiness,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Liveness, Self::Readiness];
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Startup => "startup probe",
            Self::Liveness => "liveness probe",
            Self::Readiness => "readiness probe",
        })
    }
}

/// One probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// What is asked.
    pub check: Check,
    /// How long after the container's start it is asked first.
    pub initial_delay: Duration,
    /// How often it is asked.
    pub period: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How many successes in a row count, at least 1.
    pub successes: u32,
    /// How many failures in a row count, at least 1.
    pub failures: u32,
    /// How long the container may take to end when this fails; None: as long as the pod says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<Duration>,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Check {
    /// A command inside that must end with status 0.
    Exec {
        /// The program and its arguments.
        command: Vec<String>,
    },
    /// A request that must be answered with a status from 200 to 399.
    Http(HttpGet),
    /// A connection that must be accepted.
    Tcp {
        /// Where; None: at the pod's address.
        host: Option<String>,
        /// Which port.
        port: u16,
    },
    /// The health service of gRPC, which must answer SERVING.
    Grpc {
        /// Which port.
        port: u16,
        /// Which of its services; empty for all.
        service: String,
    },
}

/// A request of a probe or a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HttpGet {
    /// Whether it goes over TLS. Whose certificate it is is not looked at.
    pub is_https: bool,
    /// Where; None: at the pod's address.
    pub host: Option<String>,
    /// Which port.
    pub port: u16,
    /// The path, with what follows it.
    pub path: String,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
}

/// What is done after a container's start, or before its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Hook {
    /// A command inside.
    Exec {
        /// The program and its arguments.
        command: Vec<String>,
    },
    /// A request.
    Http(HttpGet),
    /// Nothing for a while.
    Sleep {
        /// How long.
        time: Duration,
    },
}

/// What is done at the ends of a container's life; mostly nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Lifecycle {
    /// Just after its start; if it fails the container is ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_start: Option<Hook>,
    /// Before it is told to end, within the grace period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_stop: Option<Hook>,
}

impl Lifecycle {
    /// Whether nothing is done.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An answer to a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// As it should be.
    Success,
    /// Not so, in a sentence.
    Failure(String),
    /// It could not be asked, which says nothing of the container; in a sentence.
    Unknown(String),
}

/// What the probes of a running container say by now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether its startup probe succeeded, if it has one.
    pub is_started: bool,
    /// Whether it is ready to serve.
    pub is_ready: bool,
    /// Why it is to be restarted.
    pub failed: Option<Failed>,
    /// Why it is not ready, as far as a probe said so.
    pub unready: Option<String>,
}

/// A probe failed often enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Which.
    pub kind: Kind,
    /// The last answer.
    pub message: String,
}
