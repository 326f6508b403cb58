//! Exit statuses. 0 is success, 1 a failure, 2 wrong usage (clap's).

/// The node is not ready. For scripts that wait for it: distinguished from "the question could not be asked" (1).
pub(in crate::cli) const NOT_READY: u8 = 3;

/// What is asked for is refused: a release that is not for this node or not to be trusted, settings that are not right, a manifest.
pub(in crate::cli) const REFUSED: u8 = 4;

/// Another operation is running.
pub(in crate::cli) const BUSY: u8 = 5;

/// `ballast upgrade --check`: another release is there.
pub(in crate::cli) const AVAILABLE: u8 = 10;

/// `--help` of the commands that change releases.
pub(in crate::cli) const OF_RELEASES: &str = "Exit status: 0 done, or nothing to do; 1 it failed; 2 wrong usage; 4 the release is \
                                      refused; 5 another operation is running.";

/// `--help` of the commands that change settings.
pub(in crate::cli) const OF_SETTINGS: &str = "Exit status: 0 done, or nothing to do; 1 it failed; 2 wrong usage; 4 the change is invalid, and \
                                              nothing changed; 5 settings are on trial, or somebody else changed them meanwhile.";
