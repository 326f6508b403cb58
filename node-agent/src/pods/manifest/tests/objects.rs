//! ConfigMaps, Secrets, and what pods take from them and from themselves.

use super::*;
use crate::pods::model::{Content, FileContent};

const BESIDE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {a: one, b.txt: two}\nbinaryData: {raw: /w==}\n---\n\
                      apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\ndata: {token: czNjcmV0}\nstringData: {user: root}\n---\n";

fn pod(spec: &str, container: &str) -> String {
    format!(
        "{BESIDE}{{apiVersion: v1, kind: Pod, metadata: {{name: web, labels: {{app: web, tier: x}}}}, spec: {{{spec} containers: \
         [{{name: c, image: x, resources: {{limits: {{cpu: 1500m, memory: 64Mi}}}}, {container}}}]}}}}"
    )
}

fn env(container: &str) -> Vec<(String, String)> {
    parse("f.yaml", &pod("", container)).unwrap().spec.containers.remove(0).env
}

#[test]
fn variables_come_from_objects_and_limits() {
    let variables = |from: &str| env(&format!("env: [{{name: V, valueFrom: {{{from}}}}}]"));
    for (from, expected) in [
        ("configMapKeyRef: {name: conf, key: a}", Some("one")),
        ("secretKeyRef: {name: keys, key: token}", Some("s3cret")),
        ("secretKeyRef: {name: keys, key: user}", Some("root")),
        ("secretKeyRef: {name: keys, key: none, optional: true}", None),
        ("configMapKeyRef: {name: none, key: none, optional: true}", None),
        ("resourceFieldRef: {resource: limits.cpu}", Some("2")),
        ("resourceFieldRef: {resource: requests.cpu, divisor: 1m}", Some("1500")),
        ("resourceFieldRef: {resource: limits.memory, divisor: 1Mi}", Some("64")),
        ("resourceFieldRef: {resource: limits.ephemeral-storage, divisor: 1Gi}", Some("\0node.disk/1073741824\0")),
    ] {
        let found = variables(from);
        assert_eq!(found.first().map(|(_, value)| value.as_str()), expected, "{from}");
    }
}

#[test]
fn all_of_an_object_may_be_variables_and_env_comes_after_them() {
    let container = "envFrom: [{prefix: P_, configMapRef: {name: conf}}, {secretRef: {name: keys}}], env: [{name: user, value: me}, {name: \
                     x, value: $(user) $(token)}], args: [$(token)$(user)]";
    let text = pod("", container).replace("binaryData: {raw: /w==}", "");
    let container = parse("f.yaml", &text).unwrap().spec.containers.remove(0);
    let shown: Vec<String> = container.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    // As the kubelet: a variable of env is expanded by those of env alone, a command by all.
    assert_eq!(shown, ["P_a=one", "P_b.txt=two", "token=s3cret", "user=root", "user=me", "x=me $(token)"]);
    assert_eq!(container.args, ["s3cretme"]);
}

#[test]
fn what_grows_without_end_is_refused_with_its_line() {
    let beside = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: big}}\ndata: {{a: {}}}\n---\n",
        "x".repeat(200 << 10)
    );
    let pod = |spec: &str, container: &str| {
        format!(
            "{beside}apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  volumes: [{spec}]\n  containers:\n  - name: c\n    image: \
             x\n{container}"
        )
    };
    let doubling = |count: usize| {
        let line = |index: usize| format!("    - {{name: V{}, value: $(V{index})$(V{index})}}\n", index + 1);
        format!("    env:\n    - {{name: V0, value: xxxxxxxx}}\n{}", (0..count).map(line).collect::<String>())
    };
    let volumes = |count: usize| {
        (0..count).map(|index| format!("{{name: v{index}, configMap: {{name: big}}}},")).collect::<String>()
    };
    let variables = |count: usize| format!("    envFrom: [{}]\n", "{configMapRef: {name: big}},".repeat(count));
    for (spec, container, line) in [
        (String::new(), doubling(16), None),
        (String::new(), doubling(40), Some(33)),
        (volumes(20), String::new(), None),
        (volumes(21), String::new(), Some(10)),
        (String::new(), variables(20), None),
        (String::new(), variables(21), Some(14)),
        (volumes(11), variables(11), Some(14)),
    ] {
        let found = read("f.yaml", &pod(&spec, &container));
        let lines: Vec<Option<u64>> = found.problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, line.map(Some).into_iter().collect::<Vec<_>>(), "{:#?}", found.problems);
        assert_eq!(found.pods.len(), usize::from(line.is_none()));
        assert!(found.problems.iter().all(|problem| problem.message.contains("more than 4 MiB")));
    }
    // It is the file's: the second pod has none left.
    let one = pod(&volumes(15), "").split_off(beside.len());
    let two = format!("{beside}{one}\n---\n{}", one.replace("name: a}", "name: b}"));
    let found = read("f.yaml", &two);
    assert_eq!((found.pods.len(), found.problems.len()), (1, 1));
}

#[test]
fn volumes_have_the_files_of_objects_and_of_the_pod() {
    let spec = "volumes: [{name: conf, configMap: {name: conf, defaultMode: 0640}}, {name: keys, secret: {secretName: keys, items: [{key: \
                token, path: a/b, mode: 256}]}}, {name: own, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: \
                metadata.labels}}, {path: uid, fieldRef: {fieldPath: metadata.uid}}, {path: mem, resourceFieldRef: {containerName: c, \
                resource: limits.memory}}]}}, {name: all, projected: {sources: [{configMap: {name: conf}}, {secret: {name: keys, \
                items: [{key: user, path: a}]}}, {secret: {name: none, optional: true}}]}}],";
    let text = pod(spec, "volumeMounts: [{name: conf, mountPath: /c, subPath: b.txt}]");
    let pod = parse("f.yaml", &text).unwrap();
    let shown = |name: &str| {
        let Volume::Files { files } = &pod.spec.volumes[name] else { panic!("{name}") };
        let text = |content: &FileContent| match content {
            FileContent::Bytes(bytes) => String::from_utf8_lossy(bytes.bytes()).into_owned(),
            FileContent::Text(text) => text.clone(),
        };
        files.iter().map(|(path, file)| format!("{path} {:o} {}", file.mode, text(&file.content))).collect::<Vec<_>>()
    };
    assert_eq!(shown("conf"), ["a 640 one", "b.txt 640 two", "raw 640 \u{fffd}"]);
    assert_eq!(shown("keys"), ["a/b 400 s3cret"]);
    let own = ["labels 644 app=\"web\"\ntier=\"x\"", "mem 644 67108864", "uid 644 \0metadata.uid\0"];
    assert_eq!(shown("own"), own);
    assert_eq!(shown("all"), ["a 644 root", "b.txt 644 two", "raw 644 \u{fffd}"]);
    assert_eq!(pod.spec.containers[0].mounts[0].sub_path.as_deref(), Some("b.txt"));
    // Another content is another pod.
    let other = parse("f.yaml", &text.replace("a: one", "a: 1")).unwrap();
    assert_ne!(pod.uid, other.uid);
}

#[test]
fn images_may_be_pulled_with_secrets() {
    let secret = |config: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: pull}}\nstringData: {{.dockerconfigjson: '{config}'}}\n---\n"
        )
    };
    let pod = pod("imagePullSecrets: [{name: pull}],", "");
    let config = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "bWU6czNjcmV0"}, "r.example/a": {"username": "u", "password": "p"}}}"#;
    let found = parse("f.yaml", &format!("{}{pod}", secret(config))).unwrap();
    let shown: Vec<String> = found
        .spec
        .credentials
        .iter()
        .map(|one| format!("{} {} {}", one.registry, one.user, one.password.as_text().unwrap_or_default()))
        .collect();
    assert_eq!(shown, ["docker.io me s3cret", "r.example/a u p"]);
    assert!(!format!("{found:?}").contains("s3cret"));
    // Another password makes no other pod, and one that is not there keeps none from running.
    assert_eq!(parse("f.yaml", &format!("{}{pod}", secret("{}"))).unwrap().uid, found.uid);
    let alone = parse("f.yaml", &pod).unwrap();
    assert!(
        alone.notes.iter().any(|note| note.contains("imagePullSecrets[0].name: without effect")),
        "{:?}",
        alone.notes
    );
    let wrong = problems(&format!("{}{pod}", secret("?")));
    assert!(
        wrong.len() == 1 && wrong[0].contains("expected a Secret of the type kubernetes.io/dockerconfigjson"),
        "{wrong:?}"
    );
}

#[test]
fn what_is_not_there_is_reported_with_what_to_do() {
    let refused = |spec: &str, container: &str| problems(&pod(spec, container));
    let volumes = |volume: &str| refused(&format!("volumes: [{{name: v, {volume}}}],"), "");
    let variable = |from: &str| refused("", &format!("env: [{{name: V, valueFrom: {{{from}}}}}]"));
    for (found, expected) in [
        (
            variable("secretKeyRef: {name: no, key: a}"),
            "there is no Secret no in the namespace default: put it into this file",
        ),
        (variable("secretKeyRef: {name: keys, key: no}"), "the Secret keys has no such key"),
        (variable("configMapKeyRef: {name: conf, key: raw}"), "is not a text"),
        (
            variable("fieldRef: {fieldPath: metadata.name}, secretKeyRef: {name: keys, key: token}"),
            "expected one of fieldRef",
        ),
        (variable("resourceFieldRef: {resource: limits.gpu}"), "expected limits. or requests. with cpu"),
        (
            variable("resourceFieldRef: {resource: limits.cpu, containerName: d}"),
            "expected the name of one of the pod's",
        ),
        (refused("", "envFrom: [{}]"), "expected one of configMapRef, secretRef"),
        (volumes("configMap: {name: no}"), "there is no ConfigMap no in the namespace default"),
        (volumes("configMap: {name: conf, items: [{key: no, path: x}]}"), "the ConfigMap conf has no key no"),
        (volumes("configMap: {name: conf, items: [{key: a, path: ../x}]}"), "expected a relative path without `..`"),
        (volumes("secret: {secretName: keys, defaultMode: 999}"), "expected a mode from 0 to 0777"),
        (volumes("projected: {sources: [{serviceAccountToken: {path: token}}]}"), "needs a Kubernetes API server"),
        (volumes("persistentVolumeClaim: {claimName: x}"), "persistentVolumeClaim: needs a Kubernetes API server"),
        (volumes("emptyDir: {}, configMap: {name: conf}"), "expected one of hostPath, emptyDir, configMap"),
        (
            refused("volumes: [{name: v, emptyDir: {}}],", "volumeMounts: [{name: v, mountPath: /v, subPath: a/../b}]"),
            "without `..`",
        ),
        (
            refused(
                "volumes: [{name: v, emptyDir: {}}],",
                "volumeMounts: [{name: v, mountPath: /v, subPathExpr: $(X)}]",
            ),
            "$(NAME)",
        ),
    ] {
        assert_eq!(found.len(), 1, "{expected}: {found:#?}");
        assert!(found[0].contains(expected), "{expected}: {found:#?}");
    }
    let wrong = problems(&BESIDE.replace("czNjcmV0", "'?'"));
    assert_eq!(wrong, ["10: data.token: expected base64; a plain text goes into stringData"]);
}

#[test]
fn what_no_pod_asks_for_is_reported_and_what_is_missing_is_named() {
    let read = read("f.yaml", &pod("volumes: [{name: v, secret: {secretName: more, optional: true}}],", ""));
    let notes: Vec<String> = read.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "1: this ConfigMap has no effect: no pod in this file refers to it",
            "7: this Secret has no effect: no pod in this file refers to it"
        ]
    );
    assert_eq!(read.missing.iter().map(ToString::to_string).collect::<Vec<_>>(), ["Secret default/more"]);
}

#[test]
fn a_secret_is_in_nothing_that_is_shown() {
    let container = "env: [{name: V, valueFrom: {secretKeyRef: {name: keys, key: token}}}], args: [$(V)]";
    let text = pod("volumes: [{name: v, secret: {secretName: keys}}],", container);
    let read = read("f.yaml", &text);
    assert_eq!(read.pods[0].spec.containers[0].args, ["s3cret"]);
    let shown = format!("{read:?} {:?}", Content::of(b"s3cret".to_vec()));
    assert!(!shown.contains("s3cret") && !shown.contains("czNjcmV0"), "{shown}");
    let wrong = problems(&text.replace("token: czNjcmV0", "token: czNjcmV0!"));
    assert!(!wrong.is_empty() && !wrong.concat().contains("czNjcmV0"), "{wrong:?}");
}
