//! What a text of the operator's is: TOML, a cloud-config, or something that cloud-init knows and a node does not run.

/// What a cloud-config begins with, in small letters.
pub(super) const CLOUD_CONFIG: &str = "#cloud-config";

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `#cloud-config` in any case, alone in its line, also behind blank lines and comments.
    CloudConfig,
    /// A format of cloud-init's that is not run here, in words.
    Foreign(&'static str),
    /// Everything else.
    Toml,
}

/// The beginnings of other formats (cloud-init, `INCLUSION_TYPES_MAP`), in small letters; the longer one of two stands first.
const FOREIGN: [(&str, &str); 8] = [
    ("#!", "a script"),
    ("#cloud-boothook", "a boot hook"),
    ("#cloud-config-archive", "a cloud-config archive"),
    ("#cloud-config-jsonp", "a JSON patch"),
    ("#include", "a list of URLs"),
    ("#part-handler", "a part handler"),
    ("## template:", "a template"),
    ("{", "JSON"),
];

impl Format {
    /// The format of `text`, by its first lines.
    pub(super) fn of(text: &str) -> Self {
        let mut lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty());
        let Some(first) = lines.next() else { return Self::Toml };
        let foreign = FOREIGN.iter().find(|(start, _)| starts_with(first, start));
        if let Some((_, what)) = foreign {
            return Self::Foreign(what);
        }
        let mut comments = std::iter::once(first).chain(lines).take_while(|line| line.starts_with('#'));
        let is_header = |line: &str| {
            let rest = line.get(CLOUD_CONFIG.len()..).filter(|_| starts_with(line, CLOUD_CONFIG));
            // More words make it a comment, as TOML may begin with.
            rest.is_some_and(|rest| rest.trim().is_empty())
        };
        if comments.any(is_header) { Self::CloudConfig } else { Self::Toml }
    }
}

/// Whether `text` starts with `start`, which is in small letters, in any case.
fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_config_is_recognised_as_generously_as_cloud_init_does() {
        for text in [
            "#cloud-config",
            "#cloud-config\r\n",
            "\n\n  #cloud-config\n",
            "#CLOUD-CONFIG\n",
            "#cloud-config \t\n",
            "# vim: syntax=yaml\n\n#Cloud-Config\n",
        ] {
            assert_eq!(Format::of(text), Format::CloudConfig, "{text:?}");
        }
        for text in [
            "",
            "\n",
            "hostname = \"a\"\n#cloud-config\n",
            "# a #cloud-config\n",
            "#cloud-configs\n",
            "# ä",
            "#cloud-config is not used here\nhostname = \"a\"\n",
            "#cloud-config: x\n",
        ] {
            assert_eq!(Format::of(text), Format::Toml, "{text:?}");
        }
    }

    #[test]
    fn other_formats_are_distinguished() {
        for (text, what) in [
            ("\n#!/bin/sh\n#cloud-config\n", "a script"),
            ("#Include\nhttp://a/", "a list of URLs"),
            ("#cloud-config-archive\n- a", "a cloud-config archive"),
            ("## template: jinja\n#cloud-config\n", "a template"),
            (" {\"a\": 1}", "JSON"),
        ] {
            assert_eq!(Format::of(text), Format::Foreign(what), "{text:?}");
        }
    }
}
