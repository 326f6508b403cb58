//! Every fenced block of the README and the manual: it says what it is, and what it says can be typed.
//!
//! | mark | what the block is | what is checked |
//! |---|---|---|
//! | `text` | a picture, or what a program prints | nothing |
//! | `toml` | settings | the settings' reader takes it |
//! | `toml contexts` | a workstation's configuration | it is TOML |
//! | `sh run` | commands for any Linux | they are run, with nothing but `ballast` installed |
//! | `sh node` | commands for a node, there or over its API | the command line of `ballast` takes them; keys and values are settings |
//! | `sh build` | commands for a checkout | targets, variables, packages, tests and features are there |
//! | `sh cluster` | commands for whoever runs a cluster | files are there, objects are YAML or JSON; and as `sh node`, `sh build` |
//! | `sh hardware` | an example that needs machines or programs of others | what begins with `ballast`, `make` or `cargo`, as above |
//!
//! What `cargo run -p qemu-tests --` is given is checked by that program's own tests.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]
#![expect(clippy::disallowed_methods, reason = "a test waits for the commands that it runs")]

mod block;
mod build;
mod command;
mod run;
mod settings;

use std::{
    fs,
    path::{Path, PathBuf},
};

use block::Block;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The pages, by their paths in the repository.
fn pages() -> Vec<(String, String)> {
    let mut files = vec![top().join("README.md")];
    let mut folders = vec![top().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "md") => files.push(path),
                false => {}
            }
        }
    }
    files.sort();
    let page =
        |file: PathBuf| (file.strip_prefix(top()).unwrap().display().to_string(), fs::read_to_string(&file).unwrap());
    files.into_iter().map(page).collect()
}

/// What is wrong with a block, a sentence each.
fn problems(block: &Block) -> Vec<String> {
    match block.mark.as_str() {
        "text" | "sh run" => Vec::new(),
        "toml" => settings::problems(&block.text),
        "toml contexts" => {
            toml::from_str::<toml::Table>(&block.text).err().map(|error| error.to_string()).into_iter().collect()
        }
        "sh node" => command::problems(&block.text, &["ballast", "curl"]),
        "sh build" => command::problems(&block.text, &["make", "cargo"]),
        "sh cluster" => command::problems(&block.text, &["kubectl", "curl", "make"]),
        "sh hardware" => command::problems(&block.text, &[]),
        other => vec![format!("the mark {other:?} is none; see tests/manual/main.rs for those that there are")],
    }
}

#[test]
fn every_block_is_marked_and_can_be_typed() {
    let pages = pages();
    let blocks: Vec<Block> = pages.iter().flat_map(|(name, text)| block::blocks(name, text)).collect();
    for (mark, least) in [("sh node", 10), ("sh build", 5), ("sh cluster", 5), ("sh hardware", 1), ("toml", 5)] {
        let count = blocks.iter().filter(|block| block.mark == mark).count();
        assert!(count >= least, "only {count} blocks are marked {mark:?}");
    }
    let all: Vec<String> = blocks
        .iter()
        .flat_map(|block| problems(block).into_iter().map(|problem| format!("{}: {problem}", block.place)))
        .collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn what_runs_anywhere_is_run() {
    let pages = pages();
    let blocks = pages.iter().flat_map(|(name, text)| block::blocks(name, text));
    let blocks: Vec<Block> = blocks.filter(|block| block.mark == "sh run").collect();
    assert!(blocks.len() >= 2, "only {} blocks are run", blocks.len());
    let failures: Vec<String> = blocks
        .iter()
        .filter_map(|block| run::run(&block.text).err().map(|error| format!("{}: {error}", block.place)))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Each breach, and a part of what is reported of it.
#[test]
fn each_breach_is_found() {
    let table = [
        ("", "ballast status\n", "the mark \"\" is none"),
        ("sh", "ballast status\n", "the mark \"sh\" is none"),
        ("sh node", "ballast status --jsno\n", "--jsno"),
        ("sh node", "ballast --node h upgrade r.example/os:1 --reboo\n", "--reboo"),
        ("sh node", "ballast staus\n", "staus"),
        ("sh node", "ballast settings set update.atuo true\n", "update.atuo"),
        ("sh node", "ballast settings set update.auto perhaps\n", "update.auto"),
        ("sh node", "ballast settings unset update.atuo\n", "update.atuo"),
        ("sh node", "blalast status\n", "\"blalast\" is none of"),
        ("sh node", "ballast status 'a\n", "quotes"),
        ("sh build", "make imgae\n", "no target \"imgae\""),
        ("sh build", "make image KERNLE=debian\n", "no variable \"KERNLE\""),
        ("sh build", "cargo test -p qemu-test\n", "no package \"qemu-test\""),
        ("sh build", "cargo test -p ballast --test flwos\n", "no test \"flwos\""),
        ("sh build", "cargo test -p qemu-tests --features clustre\n", "no feature \"clustre\""),
        ("sh build", "cargo test -p ballast --test cli -- the_exit_statsu\n", "no test is called \"the_exit_statsu\""),
        ("sh cluster", "kubectl apply -k node-agent/manifest\n", "node-agent/manifest"),
        ("sh cluster", "kubectl create -f - <<EOF\nkind: {\nEOF\n", "YAML"),
        ("sh cluster", "kubectl patch nodeos n --patch='{\"spec\":}'\n", "JSON"),
        ("sh hardware", "virt-install --x\nmake imgae\n", "no target \"imgae\""),
        ("toml", "[update]\nautoo = true\n", "update.autoo"),
        ("toml contexts", "context = \n", "TOML"),
    ];
    for (mark, text, expected) in table {
        let block = Block { place: "x:1".to_owned(), mark: mark.to_owned(), text: text.to_owned() };
        let found = problems(&block);
        assert!(found.iter().any(|one| one.contains(expected)), "{mark}: {text}: {found:?}");
    }
    assert!(run::run("ballast ca issue --rloe admin me\n").unwrap_err().contains("--rloe"));
    let right = "ballast --node 192.0.2.1 settings set 'network.interface.\"e*\".mtu' 1400 --try 5m   # a remark\n";
    let block = Block { place: String::new(), mark: "sh node".to_owned(), text: right.to_owned() };
    assert_eq!(problems(&block), [""; 0]);
}
