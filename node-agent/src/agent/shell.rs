//! What the loop does for who asks for a shell: says whether the settings allow one, and how its image may be fetched.

use std::fs;

use anyhow::Context;
use ballast_types::ImageReference;

use super::{Agent, Observed, kubelet};
use crate::{
    report::exec::shell::{AskedShell, NEVER, Permit},
    settings::model::DebugShell,
    update,
};

impl Agent {
    /// Takes note of what the settings say, and answers who asked.
    pub(super) async fn act_on_shells(&mut self, observed: &Observed) {
        // Before they were read nobody is answered.
        let Some(read) = &observed.settings else { return };
        let never = self.host.path(NEVER);
        if read.settings.debug.shell == DebugShell::Never && !never.exists() {
            let noted = fs::write(&never, "").with_context(|| format!("writing {NEVER}"));
            self.warnings.note(noted);
        }
        while let Ok(AskedShell { image, reply }) = self.asked_shell.try_recv() {
            let permit = self.permit_shell(image, observed).await;
            // Who asked may be gone already.
            let _ = reply.send(permit);
        }
    }

    async fn permit_shell(&mut self, image: Option<String>, observed: &Observed) -> Result<Permit, String> {
        let settings = observed.settings();
        if settings.debug.shell == DebugShell::Never {
            return Err("debug.shell = \"never\" in the settings forbids it".to_owned());
        }
        if self.host.path(NEVER).exists() {
            return Err("debug.shell was \"never\" in this boot; what the settings say now holds from the next one on"
                .to_owned());
        }
        if kubelet::is_hosted(settings) {
            return Err("a kubelet runs the pods here and ends what it does not know; use kubectl debug node/NAME \
                        --profile=sysadmin --image=IMAGE"
                .to_owned());
        }
        let image = image.or_else(|| settings.debug.image.clone());
        let image =
            image.ok_or("name a toolbox with --image, or as debug.image in the settings; make toolbox makes one")?;
        let image: ImageReference = image.parse().map_err(|why| format!("--image: {why}"))?;
        let image = image.to_string();
        let revoked = observed.update.as_ref().map(|update| update.revoked.clone());
        let revoked =
            revoked.ok_or("the releases cannot be read, so nobody knows which keys are revoked; see ballast status")?;
        let host = self.host.clone();
        let registry = update::act::toolbox_registry(host, image.clone(), self.update_settings(settings), revoked);
        let registry = registry.await.map_err(|error| format!("{error:#}"))?;
        Ok(Permit { image, registry })
    }
}
