//! What of a pod is known only when its container is made.

/// By the names of the downward API.
pub const LATE: [&str; 4] = ["metadata.uid", "spec.nodeName", "status.hostIP", "status.podIP"];

/// What stands for it until then: no manifest can have a NUL in it. Beside those in [`LATE`] there are `node.cpu/DIVISOR` (thousandths),
/// `node.memory/DIVISOR` and `node.disk/DIVISOR` (bytes): what the node has.
pub fn late(name: &str) -> String {
    format!("\0{name}\0")
}

/// Whether something in `text` is known only later.
pub fn has_late(text: &str) -> bool {
    text.contains('\0')
}

/// What is known when a container is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The pod's uid.
    pub uid: String,
    /// The node's name.
    pub node: String,
    /// The node's address; empty without a network.
    pub host_ip: String,
    /// The pod's.
    pub pod_ip: String,
    /// Thousandths of its processors.
    pub cpu_milli: u64,
    /// Its memory.
    pub memory_bytes: u64,
    /// The disk for pods.
    pub disk_bytes: u64,
}

impl Facts {
    /// `text` with what is known now.
    pub fn fill(&self, text: &str) -> String {
        // What stands between two NULs is a name.
        let part = |(index, part): (usize, &str)| if index % 2 == 0 { part.to_owned() } else { self.value(part) };
        text.split('\0').enumerate().map(part).collect()
    }

    fn value(&self, name: &str) -> String {
        let share = |all: u64, divisor: &str| all.div_ceil(divisor.parse().unwrap_or(1).max(1)).to_string();
        match name.split_once('/') {
            Some(("node.cpu", divisor)) => share(self.cpu_milli, divisor),
            Some(("node.memory", divisor)) => share(self.memory_bytes, divisor),
            Some(("node.disk", divisor)) => share(self.disk_bytes, divisor),
            Some(_) | None => match name {
                "metadata.uid" => self.uid.clone(),
                "spec.nodeName" => self.node.clone(),
                "status.hostIP" => self.host_ip.clone(),
                "status.podIP" => self.pod_ip.clone(),
                _ => String::new(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_late_is_put_in_where_it_stands() {
        let facts = Facts {
            node: "node-1".to_owned(),
            pod_ip: "10.88.0.5".to_owned(),
            cpu_milli: 1500,
            memory_bytes: 1 << 30,
            ..Facts::default()
        };
        let text = format!("{}:80 on {}", late("status.podIP"), late("spec.nodeName"));
        assert!(has_late(&text) && !has_late("plain"));
        assert_eq!(facts.fill(&text), "10.88.0.5:80 on node-1");
        assert_eq!(facts.fill("plain"), "plain");
        let amounts = [late("node.cpu/1000"), late("node.cpu/1"), late("node.memory/1048576")].join(" ");
        assert_eq!(facts.fill(&amounts), "2 1500 1024");
    }
}
