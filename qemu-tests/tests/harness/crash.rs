//! Crash states of a small disk that is made here, each harmed in one way: the check finds it, says so, and leaves the disk as it was.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use qemu_vm::crash::check::verdict::{Boots, Verdict};
use qemu_vm::crash::cut::{Choice, Cut};
use qemu_vm::crash::log::{Entry, Kind, Log, Write, Writer};
use qemu_vm::crash::run::{Recording, Run};
use qemu_vm::disk::gpt;
use qemu_vm::registry::Authority;
use qemu_vm::tools::Tools;
use qemu_vm::workspace::Workspace;
use sha2::{Digest, Sha256};

const MIB: u64 = 1 << 20;
/// First byte and bytes of each partition.
const ESP: (u64, u64) = (MIB, 40 * MIB);
const ROOT: (u64, u64) = (41 * MIB, 16 * MIB);
const VAR: (u64, u64) = (57 * MIB, 16 * MIB);
const END: u64 = 75 * MIB;
/// What is compared.
const BLOCK: usize = 4096;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// fs-verity of what fits into one block.
fn verity(content: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    block[..content.len()].copy_from_slice(content);
    let mut descriptor = [0; 256];
    descriptor[..3].copy_from_slice(&[1, 1, 12]);
    descriptor[8..16].copy_from_slice(&(content.len() as u64).to_le_bytes());
    descriptor[16..48].copy_from_slice(&Sha256::digest(block));
    Sha256::digest(descriptor).into()
}

/// A disk like a node's, in small: one release, its entry, its objects, the agent's state.
struct Small {
    tools: Tools,
    folder: tempfile::TempDir,
    commit: String,
    object: String,
    kernel: String,
}

impl Small {
    fn new() -> Result<Self> {
        let tools = Tools::find(&Workspace::find())?;
        let folder = tempfile::tempdir()?;
        let commit = sha256(b"commit");
        let object = format!("{}/{}.file", "ab", "c".repeat(62));
        let small = Self { tools, folder, commit, object, kernel: format!("{}-vmlinuz", sha256(b"kernel")) };
        let base = small.path("base.raw");
        File::create(&base)?.set_len(END)?;
        small.table(&base)?;
        small.esp(&base)?;
        small.root(&base)?;
        small.var(&base)?;
        Ok(small)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn table(&self, base: &Path) -> Result<()> {
        let part = |(start, length): (u64, u64), name: &str| {
            format!("start={},size={},name={name},type=linux\n", start / 512, length / 512)
        };
        let script = format!(
            "label: gpt\n{}{}{}",
            part(ESP, "ballast-esp"),
            part(ROOT, "ballast-root"),
            part(VAR, "ballast-var")
        );
        let place = self.path("table");
        fs::write(&place, script)?;
        let mut command = self.tools.command("sfdisk");
        let done = command.arg("-q").arg(base).stdin(File::open(place)?).output()?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    }

    fn esp(&self, base: &Path) -> Result<()> {
        let image = self.path("esp");
        self.tools.output("mkfs.vfat", ["-C", "-F", "32", "-s", "1", text(&image)?, &(ESP.1 / 1024).to_string()])?;
        let at = ["-i", text(&image)?];
        for folder in ["EFI", "EFI/BOOT", "EFI/systemd", "ballast", "loader", "loader/entries"] {
            self.tools.output("mmd", [&at[..], &[&format!("::{folder}")]].concat())?;
        }
        let initramfs = format!("{}-initramfs", sha256(b"initramfs"));
        let composefs = hex(&verity(&self.image()));
        let entry = format!(
            "linux /ballast/{}\ninitrd /ballast/{initramfs}\noptions ballast.deployment={}.0 ballast.composefs={composefs}\n",
            self.kernel, self.commit
        );
        for (name, content) in [
            ("EFI/BOOT/BOOTX64.EFI".to_owned(), "loader"),
            ("EFI/systemd/systemd-bootx64.efi".to_owned(), "loader"),
            ("loader/loader.conf".to_owned(), "timeout 0\n"),
            (format!("ballast/{}", self.kernel), "kernel"),
            (format!("ballast/{initramfs}"), "initramfs"),
            ("loader/entries/ballast-1-x.conf".to_owned(), entry.as_str()),
        ] {
            let file = self.path("content");
            fs::write(&file, content)?;
            self.tools.output("mcopy", [&at[..], &[text(&file)?, &format!("::{name}")]].concat())?;
        }
        copy(&image, base, ESP.0)
    }

    /// A composefs image, as far as it is read here: which object, with which digest.
    fn image(&self) -> Vec<u8> {
        let digest = verity(b"object");
        [b"trusted.overlay.metacopy\0\x24\0\x01", &digest[..], b"\0overlay.redirect/", self.object.as_bytes()].concat()
    }

    fn root(&self, base: &Path) -> Result<()> {
        let tree = self.path("root.tree");
        let deployment = format!("ostree/deploy/ballast/deploy/{}.0/.ostree.cfs", self.commit);
        let object = format!("ostree/repo/objects/{}", self.object);
        let (first, rest) = self.commit.split_at(2);
        put(&tree, &deployment, &self.image())?;
        put(&tree, &object, b"object")?;
        put(&tree, &format!("ostree/repo/objects/{first}/{rest}.commit"), b"commit")?;
        put(&tree, "ostree/repo/refs/heads/ballast", self.commit.as_bytes())?;
        put(&tree, "ostree/repo/config", b"[core]\n")?;
        let image = self.ext4("root", &tree, ROOT.1)?;
        for file in [deployment, object] {
            // With extents and fs-verity.
            self.debugfs(&image, &format!("set_inode_field /{file} flags 0x180000"))?;
        }
        copy(&image, base, ROOT.0)
    }

    fn var(&self, base: &Path) -> Result<()> {
        let tree = self.path("var.tree");
        put(&tree, "lib/ballast/settings.toml", b"hostname = \"a\"\n")?;
        put(&tree, "lib/ballast/update.json", b"{}")?;
        put(&tree, "lib/ballast/machine-id", "0123456789abcdef".repeat(2).as_bytes())?;
        let [one, other] = ["one", "other"].map(|name| Authority::make(&self.tools, self.folder.path(), name));
        let (one, other) = (one?.own(), other?.own());
        let both = |certificate, key| -> Result<Vec<u8>> { Ok([fs::read(certificate)?, fs::read(key)?].concat()) };
        put(&tree, "lib/ballast/clusters/prod/client.pem", &both(&one.certificate, &one.key)?)?;
        put(&tree, "lib/mixed", &both(&one.certificate, &other.key)?)?;
        copy(&self.ext4("var", &tree, VAR.1)?, base, VAR.0)
    }

    fn ext4(&self, name: &str, tree: &Path, bytes: u64) -> Result<PathBuf> {
        let image = self.path(name);
        let size = format!("{}M", bytes / MIB);
        self.tools.output(
            "mke2fs",
            ["-q", "-t", "ext4", "-b", "4096", "-g", "2048", "-O", "verity", "-d", text(tree)?, text(&image)?, &size],
        )?;
        Ok(image)
    }

    fn debugfs(&self, image: &Path, request: &str) -> Result<()> {
        self.tools.output("debugfs", ["-w", "-R", request, text(image)?]).map(drop)
    }

    /// The same disk, changed by `harm`, which gets its three file systems as files and may change these.
    fn harmed(&self, harm: &dyn Fn(&Self, &Path) -> Result<()>) -> Result<Verdict> {
        let (base, changed) = (self.path("base.raw"), self.path("changed.raw"));
        fs::copy(&base, &changed)?;
        harm(self, &changed)?;
        let (before, after) = (fs::read(&base)?, fs::read(&changed)?);
        let recording = Recording::at(&self.path("writes.log"));
        let mut log = Writer::create(&recording.log)?;
        let mut count = 0;
        // There, and back: the end of a recording has to be well.
        for (from, to) in [(&before, &after), (&after, &before)] {
            for (number, (old, new)) in from.chunks(BLOCK).zip(to.chunks(BLOCK)).enumerate() {
                if old != new {
                    log.write((number * BLOCK) as u64, new, false)?;
                    count += 1;
                }
            }
            log.flush()?;
        }
        let mut run = Run::of(&self.tools, &recording)?;
        let cut = Cut { epoch: 0, choice: Choice::Prefix(count / 2) };
        let verdict = run.state(&cut)?;
        // What was looked at is as it was: the same again, and the disk is the one that was made.
        ensure!(run.state(&cut)? == verdict, "looked at twice, it is another one");
        run.save(&cut, &self.path("saved.raw"))?;
        ensure!(fs::read(self.path("saved.raw"))? == after, "to look at it changed the disk");
        Ok(verdict)
    }

    /// Changes the file system that starts at `start` of `disk` with debugfs.
    fn edit(&self, disk: &Path, start: u64, request: &str) -> Result<()> {
        let mut command = self.tools.command("debugfs");
        let done = command.args(["-w", "-R", request]).arg(format!("{}?offset={start}", disk.display())).output()?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    }

    fn esp_edit(&self, disk: &Path, program: &str, arguments: &[&str]) -> Result<()> {
        let at = format!("{}@@{}", disk.display(), ESP.0);
        self.tools.output(program, [&["-i", &at][..], arguments].concat()).map(drop)
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

fn put(tree: &Path, name: &str, content: &[u8]) -> Result<()> {
    let path = tree.join(name);
    fs::create_dir_all(path.parent().context("no folder")?)?;
    fs::write(path, content).context("writing a file of a tree")
}

fn copy(image: &Path, disk: &Path, start: u64) -> Result<()> {
    File::options().write(true).open(disk)?.write_all_at(&fs::read(image)?, start).context("writing a partition")
}

#[test]
fn a_whole_disk_is_well_and_each_harm_is_found() {
    let small = Small::new().unwrap();
    assert!(gpt::find(&small.path("base.raw"), "ballast-var").is_ok());
    let well = small.harmed(&|small, disk| small.edit(disk, VAR.0, "mkdir /lib/ballast/sources")).unwrap();
    assert_eq!((well.boots, well.faults.as_slice()), (Boots::Old, &[][..]), "{well:?}");

    type Harm = Box<dyn Fn(&Small, &Path) -> Result<()>>;
    let root = |request: String| -> Harm { Box::new(move |small, disk| small.edit(disk, ROOT.0, &request)) };
    let var = |request: &'static str| -> Harm { Box::new(move |small, disk| small.edit(disk, VAR.0, request)) };
    let zero = |at: u64, length: usize| -> Harm {
        Box::new(move |_, disk| Ok(File::options().write(true).open(disk)?.write_all_at(&vec![0; length], at)?))
    };
    let object = format!("/ostree/repo/objects/{}", small.object);
    let deployment = format!("/ostree/deploy/ballast/deploy/{}.0", small.commit);
    let kernel = format!("::ballast/{}", small.kernel);
    let esp = |program: &'static str, arguments: Vec<String>| -> Harm {
        Box::new(move |small, disk| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            small.esp_edit(disk, program, &arguments)
        })
    };
    let cases: Vec<(&str, Harm)> = vec![
        ("there is no boot entry", esp("mdel", vec!["::loader/entries/ballast-1-x.conf".into()])),
        ("there is no boot entry", esp("mdel", vec![kernel])),
        ("the boot loader itself is not as it was", esp("mdel", vec!["::EFI/BOOT/BOOTX64.EFI".into()])),
        ("nothing can be read", zero(ESP.0, 512)),
        ("its object", root(format!("unlink {object}"))),
        ("is not there", root(format!("unlink {deployment}"))),
        ("reading /ostree/deploy", root(format!("unlink {deployment}/.ostree.cfs"))),
        ("has no fs-verity", root(format!("set_inode_field {deployment}/.ostree.cfs flags 0x80000"))),
        ("names no commit that is there", root("set_inode_field /ostree/repo/refs/heads/ballast size 3".into())),
        ("/ostree/repo/config is empty", root("set_inode_field /ostree/repo/config size 0".into())),
        ("ROOT is damaged", zero(ROOT.0, 4096)),
        ("update.json is damaged", var("set_inode_field /lib/ballast/update.json size 1")),
        ("settings.toml is damaged", var("set_inode_field /lib/ballast/settings.toml size 5")),
        ("machine-id is damaged", var("set_inode_field /lib/ballast/machine-id size 0")),
        ("client.pem is damaged", var("set_inode_field /lib/ballast/clusters/prod/client.pem size 300")),
        ("client.pem is damaged", var("set_inode_field /lib/ballast/clusters/prod/client.pem size 0")),
        ("its key and its certificate", var("link /lib/mixed /lib/ballast/clusters/prod/mixed.pem")),
        (
            "neither partition table is whole",
            Box::new(|_, disk| {
                let disk = File::options().write(true).open(disk)?;
                disk.write_all_at(&[7; 16], 512 + 60)?;
                Ok(disk.write_all_at(&[7; 16], END - 512 + 60)?)
            }),
        ),
    ];
    for (found, harm) in cases {
        let verdict = small.harmed(&*harm).unwrap_or_else(|error| panic!("{found}: {error:#}"));
        assert!(verdict.faults.iter().any(|(_, why)| why.contains(found)), "{found}: {verdict:?}");
    }
    // One table, or a superblock that is only torn, is enough.
    let first = zero(512, 512);
    let verdict = small.harmed(&*first).unwrap();
    assert_eq!(verdict.faults, [], "one table is whole");
    for start in [ROOT.0, VAR.0] {
        let torn: Harm = Box::new(move |_, disk| {
            // s_wtime, in the first of its two sectors.
            Ok(File::options().write(true).open(disk)?.write_all_at(&[1, 2, 3, 4], start + 1024 + 0x30)?)
        });
        let verdict = small.harmed(&*torn).unwrap();
        assert_eq!((verdict.faults.as_slice(), !verdict.mended.is_empty()), (&[][..], true), "a torn superblock");
    }
}

/// QEMU's own driver, without a machine: what it logs is what is read.
#[test]
fn the_log_that_qemu_writes_is_read() {
    let tools = Tools::find(&Workspace::find()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [disk, log] = ["disk", "log"].map(|name| folder.path().join(name));
    File::create(&disk).unwrap().set_len(MIB).unwrap();
    File::create(&log).unwrap();
    let write = |begins: &str, requests: &[&str]| {
        let node = format!(
            "driver=blklogwrites,file.driver=file,file.filename={},log.driver=file,log.filename={},{begins},\
             log-super-update-interval=1",
            disk.display(),
            log.display()
        );
        let commands = requests.iter().flat_map(|request| ["-c", request]);
        tools
            .output("qemu-io", ["--image-opts", "-d", "unmap"].into_iter().chain(commands).chain([node.as_str()]))
            .unwrap();
    };
    // The second boot of a recording goes on with its log.
    write("log-sector-size=512", &["write -P 1 0 4k", "flush", "discard 8k 4k"]);
    write("log-append=on", &["write -z 16k 8k", "write -P 3 64k 1k", "flush"]);
    let read = Log::read(&log).unwrap();
    // It may flush more often than it is asked to.
    let place = |entry: &Entry| match entry {
        Entry::Write(Write { offset, length, kind, .. }) => Some((*offset, *length, *kind == Kind::Discard)),
        Entry::Flush | Entry::Mark(_) => None,
    };
    let places: Vec<_> = read.entries.iter().filter_map(place).collect();
    let wanted = [(0, 4096, false), (8192, 4096, true), (16384, 8192, false), (65536, 1024, false)];
    assert_eq!(places, wanted, "{read:?}");
    assert_eq!((&read.entries[1], read.entries.last()), (&Entry::Flush, Some(&Entry::Flush)), "{read:?}");
    let Entry::Write(Write { kind: Kind::Data { at }, .. }) = read.entries[0] else { panic!("{read:?}") };
    let mut first = [0; 4096];
    File::open(&log).unwrap().read_exact_at(&mut first, at).unwrap();
    assert_eq!(first, [1; 4096]);
}
