//! What runs in the guest. Each start ends when the program has written a file: the canary leaves this boot's id in /run/canary.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::STARTS;

const IMAGE: &str = "localhost/ballast/canary:1";

/// A pod called `$1`, whose /run/canary is /run/bench/$1.
const MANIFEST: &str = r#"manifest() {
cat <<END
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  hostNetwork: true
  containers:
    - name: canary
      image: localhost/ballast/canary:1
      imagePullPolicy: Never
      volumeMounts: [{name: run, mountPath: /run/canary}]
  volumes:
    - name: run
      hostPath: {path: /run/bench/$1, type: DirectoryOrCreate}
END
}
"#;

/// READY comes first, and what a node does after it takes minutes of this CPU: growing /var, the network, its own pod.
const SETTLED: &str = "systemctl is-system-running --wait >/dev/null || :\nsleep 60\n";

/// Starts what `start NAME` starts, [`STARTS`] times, each ended by `end NAME` before the next.
fn starts(functions: &str) -> String {
    format!(
        "set -e\n{SETTLED}{MANIFEST}{functions}\nfor n in $(seq {STARTS}); do\n\
         mkdir -p /run/bench/bench$n; manifest bench$n >/run/bench/bench$n.yaml\n\
         begin=$(date +%s%N); start bench$n >/dev/null\n\
         until [ -e /run/bench/bench$n/boot_id ]; do sleep 0.005; done\n\
         echo start $(($(date +%s%N) - begin)); end bench$n >/dev/null\ndone\n"
    )
}

pub(super) fn ours() -> String {
    starts(
        "start() { mv /run/bench/$1.yaml /var/lib/ballast/pods/; }\n\
         end() { rm /var/lib/ballast/pods/$1.yaml; while ballast status --json | grep -q $1; do sleep 0.2; done; }",
    )
}

pub(super) fn ctr() -> String {
    starts(&format!(
        "start() {{ ctr -n k8s.io run -d --net-host --mount type=bind,src=/run/bench/$1,dst=/run/canary,options=rbind:rw {IMAGE} $1; }}\n\
         end() {{ ctr -n k8s.io task kill -s SIGKILL $1; while ctr -n k8s.io task ls | grep -q $1; do \
         ctr -n k8s.io task rm $1 || sleep 0.2; done; ctr -n k8s.io container rm $1; }}"
    ))
}

pub(super) fn podman() -> String {
    starts(
        "start() { podman kube play /run/bench/$1.yaml; }\nend() { podman kube down /run/bench/$1.yaml; rm -rf /run/bench/$1; }",
    )
}

/// Brings the archive of images into containerd and podman.
pub(super) fn images(archive: &[u8]) -> String {
    let text = STANDARD.encode(archive);
    format!(
        "set -e\nbase64 -d >/run/images.tar <<END\n{text}\nEND\n\
         ctr -n k8s.io images import /run/images.tar >/dev/null\n\
         mkdir /run/layout && tar -xf /run/images.tar -C /run/layout\n\
         podman pull -q oci:/run/layout:{IMAGE} >/dev/null\n\
         podman image exists {IMAGE} || podman tag $(podman images -q | head -n 1) {IMAGE}\n"
    )
}

/// Starts `count` pods at once, and says what they take.
pub(super) fn many(count: u32) -> String {
    format!(
        "set -e\n{MANIFEST}\
         used() {{ sync; sed -nE 's/^MemAvailable: +([0-9]+) kB/\\1/p' /proc/meminfo; }}\n\
         mkdir -p /run/many; for n in $(seq {count}); do manifest many$n >/run/many/many$n.yaml; done\n\
         echo used_before_kib $(used)\nbegin=$(date +%s%N); mv /run/many/*.yaml /var/lib/ballast/pods/\n\
         until [ $(ls /run/bench/many*/boot_id 2>/dev/null | wc -l) = {count} ]; do sleep 1; done\n\
         echo took_ns $(($(date +%s%N) - begin))\nsleep 20\necho used_after_kib $(used)\n\
         pid=$(systemctl show --value --property=MainPID ballast.service)\n\
         echo agent_kib $(sed -nE 's/^VmRSS:[^0-9]+([0-9]+) kB/\\1/p' /proc/$pid/status)\n\
         rm /var/lib/ballast/pods/many*.yaml\n"
    )
}
