//! Volumes with user-data are what platforms make: their labels, and files under their whole names.

use qemu_vm::disk::Bus;
use qemu_vm::tools::Tools;
use qemu_vm::volume::{FileSystem, Volume};
use qemu_vm::workspace::Workspace;

/// Where ISO 9660 has its volume's name: in the primary descriptor, ECMA-119, 8.4.
const ISO_LABEL: std::ops::Range<usize> = 0x8028..0x8048;

#[test]
fn volumes_have_their_label_and_their_files() {
    let workspace = Workspace::find();
    let (tools, scratch) = (Tools::find(&workspace).unwrap(), workspace.scratch().unwrap());
    let user_data = "hostname = \"a\"\n";

    let iso = Volume::nocloud(&tools, scratch.path(), FileSystem::Iso, user_data, "n").unwrap().drive(Bus::Cd);
    assert!(iso.read_only);
    let bytes = std::fs::read(&iso.file).unwrap();
    assert_eq!(std::str::from_utf8(&bytes[ISO_LABEL]).unwrap().trim_end(), "cidata");
    // Rock Ridge: the name as it is, not as ISO 9660 alone would have it.
    for text in [&b"user-data"[..], b"meta-data", user_data.as_bytes(), b"local-hostname: n"] {
        assert!(bytes.windows(text.len()).any(|window| window == text), "{}", String::from_utf8_lossy(text));
    }

    let fat = Volume::config_drive(&tools, scratch.path(), FileSystem::Vfat, user_data, "n").unwrap();
    let file = fat.drive(Bus::Virtio).file.display().to_string();
    let label = tools.output("mlabel", ["-s", "-i", &file, "::"]).unwrap();
    assert!(String::from_utf8_lossy(&label).to_lowercase().contains("config-2"), "{label:?}");
    let text = tools.output("mtype", ["-i", &file, "::/openstack/latest/user_data"]).unwrap();
    assert_eq!(text, user_data.as_bytes());
    let text = tools.output("mtype", ["-i", &file, "::/openstack/latest/meta_data.json"]).unwrap();
    assert!(String::from_utf8_lossy(&text).contains("\"hostname\":\"n\""));
}
