//! /init: PID 1 between the kernel and systemd. This file is the list of its steps.

use std::convert::Infallible;
use std::path::Path;

use anyhow::Context;
use ballast_initramfs::clock::Watch;
use ballast_initramfs::drivers::Drivers;
use ballast_initramfs::failure::{self, Failure};
use ballast_initramfs::report::{self, Report, Steps};
use ballast_initramfs::uevent::Uevents;
use ballast_initramfs::{ahead, cmdline, composefs, deployment, efi, mounts, ostree, root, switch, var};

fn main() {
    if ahead::is_us() {
        return ahead::read();
    }
    match boot() {
        Err(failure) => failure::reboot_because(&failure),
    }
}

fn boot() -> Result<Infallible, Failure> {
    let mut steps = Steps::default();

    let (watch, request) = steps.run("command line", || {
        mounts::kernel_filesystems()?;
        failure::arm().context("starting the watch over the time")?;
        Ok((Watch::start()?, cmdline::load_request()?))
    })?;
    let (uevents, mut drivers) = steps.run("modules", || {
        let uevents = Uevents::listen()?;
        let mut drivers = Drivers::open()?;
        // Disks first: while the kernel looks for partitions on them, the others load.
        drivers.load_for_devices()?;
        drivers.load_always()?;
        Ok((uevents, drivers))
    })?;
    let root = steps.run("root", || root::mount(&request, &efi::load(), &mut drivers, &uevents))?;
    let folder = steps.run("deployment", || deployment::find(Path::new(mounts::ROOT), &request.deployment))?;
    let verity = steps.run("composefs", || composefs::mount(&folder, request.composefs.as_ref()))?;
    steps.run("read ahead", || {
        ahead::begin();
        Ok(())
    })?;
    steps.run("etc", mounts::etc)?;
    let var = steps.run("var", || var::establish(&root))?;
    steps.run("ostree", || {
        ostree::report(&folder, verity)?;
        mounts::sysroot()
    })?;
    steps.run("switch root", switch::root)?;
    let report = Report {
        steps: &steps,
        start: watch.start,
        deployment: request.deployment.to_string(),
        root_device: root::device(&root.partition).display().to_string(),
        var_device: var.device,
        verity,
        first_boot: var.first_boot,
        problems: var.problems,
    };
    let hand_over = || {
        report::write(&report, watch.now()?)?;
        switch::exec()
    };
    hand_over().map_err(|error| Failure { step: "switch root", error })
}
