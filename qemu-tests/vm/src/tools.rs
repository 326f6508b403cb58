//! Finding and running programs: the tools tree of `make setup` first, else what PATH has.
//!
//! The tree is a whole Debian of its own. Its programs run through its own loader with its own libraries, so that no
//! chroot, no privilege and no matching host are needed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Where programs come from.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The root of a tools tree; `None` means PATH only.
    tree: Option<PathBuf>,
}

impl Tools {
    /// `$BALLAST_TOOLS`, else `target/tools`, else PATH.
    ///
    /// # Errors
    /// When `$BALLAST_TOOLS` names something that is no tools tree.
    pub fn find(workspace: &Workspace) -> Result<Self> {
        if let Some(named) = std::env::var_os("BALLAST_TOOLS") {
            let tree = PathBuf::from(named);
            if !loader(&tree).exists() {
                bail!("BALLAST_TOOLS names {}, which is no tools tree (it has no loader)", tree.display());
            }
            return Ok(Self { tree: Some(tree) });
        }
        let usual = workspace.target.join("tools");
        Ok(Self { tree: loader(&usual).exists().then_some(usual) })
    }

    /// The root of the tools tree, if there is one.
    pub fn tree(&self) -> Option<&Path> {
        self.tree.as_deref()
    }

    /// A command for the program `name`, from the tree if it has it, else from PATH.
    pub fn command(&self, name: &str) -> Command {
        self.in_tree(name).map_or_else(|| Command::new(name), |(_, program)| self.with_libraries(&program))
    }

    /// A command for a program that was built against the tree's libraries, wherever it lies.
    pub fn with_libraries(&self, program: &Path) -> Command {
        let Some(tree) = &self.tree else { return Command::new(program) };
        let mut command = Command::new(loader(tree));
        // systemd's programs have libraries in a folder of their own.
        let libraries = tree.join(LIBRARIES);
        let both = format!("{}:{}", libraries.display(), libraries.join("systemd").display());
        command.arg("--library-path").arg(both).arg(program);
        command
    }

    /// Whether the program `name` is in the tree or on PATH.
    pub fn has(&self, name: &str) -> bool {
        self.in_tree(name).is_some() || on_path(name).is_some()
    }

    /// The same, dying with us if `setpriv` can see to that.
    pub fn dying_with_us(&self, name: &str) -> Command {
        dying_with_us(self.command(name))
    }

    /// QEMU, with its data and modules where the tree keeps them, dying with us.
    pub fn qemu(&self, name: &str) -> Command {
        let mut command = self.dying_with_us(name);
        if let Some((tree, _)) = self.in_tree(name) {
            command.arg("-L").arg(tree.join("usr/share/qemu"));
            command.arg("-L").arg(tree.join("usr/share/seabios"));
            command.env("QEMU_MODULE_DIR", tree.join(LIBRARIES).join("qemu"));
        }
        command
    }

    /// openssl, with the settings of the tree that it comes from.
    pub fn openssl(&self) -> Command {
        let mut command = self.command("openssl");
        if let Some((tree, _)) = self.in_tree("openssl") {
            command.env("OPENSSL_CONF", tree.join("etc/ssl/openssl.cnf"));
        }
        command
    }

    /// A data file that a package puts under /usr/share: the tree's, else the host's.
    ///
    /// # Errors
    /// When neither has it.
    pub fn shared_file(&self, path: &str) -> Result<PathBuf> {
        let roots = [self.tree.clone(), Some(PathBuf::from("/"))];
        let mut places = roots.into_iter().flatten().map(|root| root.join("usr/share").join(path));
        places.find(|place| place.exists()).with_context(|| {
            format!("there is no /usr/share/{path} in the tools tree or on this host; `make setup` brings it")
        })
    }

    /// Runs a program to its end and gives its stdout.
    ///
    /// # Errors
    /// When it is missing or fails; with the last lines of its stderr.
    pub fn output<S: AsRef<OsStr>>(&self, name: &str, args: impl IntoIterator<Item = S>) -> Result<Vec<u8>> {
        let mut command = self.command(name);
        command.args(args).stdin(Stdio::null());
        output(name, &mut command)
    }

    fn in_tree(&self, name: &str) -> Option<(&Path, PathBuf)> {
        let tree = self.tree.as_deref()?;
        ["usr/bin", "usr/sbin"].iter().map(|dir| tree.join(dir).join(name)).find(|p| p.exists()).map(|p| (tree, p))
    }
}

/// Runs `command`, called `name` in errors, to its end and gives its stdout.
///
/// # Errors
/// When it is missing or fails; with the last lines of its stderr.
pub fn output(name: &str, command: &mut Command) -> Result<Vec<u8>> {
    let done = command.output().with_context(|| format!("starting {name} (`make setup` installs it)"))?;
    if !done.status.success() {
        let stderr = String::from_utf8_lossy(&done.stderr);
        let tail: Vec<&str> = stderr.lines().rev().take(5).collect();
        bail!("{name} failed ({}): {}", done.status, tail.into_iter().rev().collect::<Vec<_>>().join("; "));
    }
    Ok(done.stdout)
}

/// `command`, dying with us if `setpriv` can see to that.
pub fn dying_with_us(command: Command) -> Command {
    if on_path("setpriv").is_none() {
        return command;
    }
    let mut with_parent = Command::new("setpriv");
    with_parent.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
    with_parent
}

fn loader(tree: &Path) -> PathBuf {
    tree.join("lib64/ld-linux-x86-64.so.2")
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in ["lib64/ld-linux-x86-64.so.2", "usr/bin/qemu-system-x86_64", "usr/sbin/sfdisk"] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        dir
    }

    #[test]
    fn programs_of_the_tree_run_through_its_loader() {
        let dir = tree();
        let tools = Tools { tree: Some(dir.path().to_owned()) };
        let sfdisk = tools.command("sfdisk");
        assert_eq!(sfdisk.get_program(), loader(dir.path()).as_os_str());
        let args: Vec<_> = sfdisk.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
        assert_eq!(args[0], "--library-path");
        assert!(args[2].ends_with("usr/sbin/sfdisk"), "{args:?}");
        assert_eq!(tools.command("not-in-the-tree").get_program(), "not-in-the-tree");
    }

    #[test]
    fn a_failing_program_shows_its_last_words() {
        let error = output("sh", Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err().to_string();
        assert_eq!(error, "sh failed (exit status: 3): why");
    }
}
