//! `[debug]`: whether an admin may have a shell on the node.

/// `[debug]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Debug {
    /// `shell`: who may have one. Default admin.
    pub shell: DebugShell,
    /// `image`: the toolbox that it runs in. None: who asks for a shell names one.
    pub image: Option<String>,
}

/// Who may have a shell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DebugShell {
    /// `"admin"`: who has that role.
    #[default]
    Admin,
    /// `"never"`: nobody, until a boot in which the settings say something else.
    Never,
}

impl DebugShell {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Admin, Self::Never];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Never => "never",
        }
    }
}
