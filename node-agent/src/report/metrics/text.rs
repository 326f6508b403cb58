//! Prometheus' text format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). What we report is looked at when somebody asks and
//! counted elsewhere, so there is nothing for the registry of a crate to keep; what is left of one is this.

use std::fmt::{Display, Write};

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It goes up and down.
    Gauge,
    /// It goes up, and begins anew with the agent or the boot.
    Counter,
}

/// A text that grows family by family.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// The samples of one name.
#[derive(Debug)]
pub(super) struct Family<'t> {
    text: &'t mut Text,
    name: &'static str,
}

impl Text {
    /// Begins the family `name`; a counter's name ends in `_total`.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { text: self, name }
    }

    /// All of it.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// One of its numbers.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let out = &mut self.text.0;
        out.push_str(self.name);
        for (index, (name, value)) in labels.iter().enumerate() {
            let opening = if index == 0 { '{' } else { ',' };
            let _ = write!(out, "{opening}{name}=\"{}\"", escaped(value));
        }
        let _ = writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" });
        self
    }

    /// One of its numbers, if it is known.
    pub(super) fn known(&mut self, labels: &[(&str, &str)], value: Option<impl Display>) -> &mut Self {
        match value {
            Some(value) => self.sample(labels, value),
            None => self,
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_help_kind_and_samples() {
        let mut text = Text::default();
        let mut family = text.family("a_total", Kind::Counter, "How many.");
        family.sample(&[], 1).known(&[], None::<u64>).sample(&[("b", "c"), ("d", "\"\\\n")], 2.5);
        text.family("e", Kind::Gauge, "None.");
        let expected = "# HELP a_total How many.\n# TYPE a_total counter\na_total 1\na_total{b=\"c\",d=\"\\\"\\\\\\n\"} 2.5\n\
                        # HELP e None.\n# TYPE e gauge\n";
        assert_eq!(text.finish(), expected);
    }
}
