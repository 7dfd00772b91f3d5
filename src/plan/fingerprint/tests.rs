//! The golden hashes: as long as they hold, no upgrade of the daemon replaces a container.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::*;
use crate::plan::desired::{NetworkChoice, Port, Seccomp};
use crate::plan::testing::container_spec;
use crate::plan::{Settings, validate};
use crate::sandbox::{Protocol, SandboxSpec, yaml};

const MINIMAL: &str = "
apiVersion: sandkeeper.dev/v1alpha1
kind: Sandbox
metadata: {name: web}
spec: {image: example/app:1}
";

/// Every field that a container is made from.
const FULL: &str = "
apiVersion: sandkeeper.dev/v1alpha1
kind: Sandbox
metadata: {name: web}
spec:
  image: example/app:1
  command: [/bin/server, --verbose]
  args: [--port, '80']
  workingDir: /srv
  env:
    - {name: MODE, value: fast}
    - {name: TOKEN, valueFrom: {secretFile: /run/secrets/token}}
  ports:
    - {name: http, containerPort: 80}
    - {name: dns, containerPort: 53, protocol: UDP, hostPort: 5353, hostIP: 127.0.0.2}
  mounts:
    - {hostPath: /srv/data, mountPath: /data, readOnly: true, create: {mode: '0750', uid: 1000}}
  resources: {limits: {sharedMemory: 64Mi}}
  securityContext:
    seccompProfile: {type: Unconfined}
    capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}
    allowPrivilegeEscalation: true
    readOnlyRootFilesystem: true
    runAsUser: 1000
    runAsGroup: 1000
  runtimeClassName: runsc
  network: {mode: Named, name: lab}
";

fn parsed(text: &str) -> ContainerSpec {
    let settings = Settings {
        defaults: SandboxSpec::default(),
        prefix: "sandbox".to_owned(),
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        policy: crate::plan::Policy::default(),
    };
    let document = yaml::read(text.as_bytes()).unwrap().remove(0);
    let mut sandbox = document.result.unwrap();
    sandbox.metadata.uid = Some("uid-1".to_owned());
    validate(&sandbox, &settings, Path::new("/specs")).unwrap().desired.container
}

fn of(spec: &ContainerSpec) -> Fingerprint {
    Fingerprint::of(spec, &BTreeMap::new())
}

fn token(digest: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("TOKEN".to_owned(), digest.to_owned())])
}

/// Whoever has to change these lines recreates every container of every user.
#[test]
fn spec_hashes_are_stable_across_releases() {
    let minimal = of(&parsed(MINIMAL));
    assert_eq!(
        minimal.spec_hash,
        "v1:4bd7f77e3769b41227b41cf451e1cb18d7ccd4128f91bea79b1a7e6f411edffe"
    );
    assert_eq!(
        minimal.fields_label(),
        "image=68524929,network=1d7d7d4b,ports[http]=a5a9c71a,securityContext=baf3a9fb"
    );
    let full = Fingerprint::of(&parsed(FULL), &token("0123"));
    assert_eq!(
        full.spec_hash,
        "v1:074ebd3ef5c3fd8251061e5ce69bff80aed022d62dff5e4dbe6d7fc1aebc9414"
    );
    assert_eq!(
        full.fields_label(),
        "args=b6cc3321,command=ca1f6a7b,env.MODE=cd15cf45,env.TOKEN=f43874ab,\
         image=68524929,mounts[/data]=9f55e88d,network=8386f978,ports[dns]=63410a6f,\
         ports[http]=7031de0b,resources.limits.sharedMemory=2b3c03c5,runtimeClassName=f5f0a5a4,\
         securityContext=66c7a57c,workingDir=28155cf5"
    );
}

#[test]
fn the_way_a_spec_is_written_does_not_change_its_hash() {
    let spelt_out = MINIMAL.replace(
        "spec: {image: example/app:1}",
        "spec:\n  ports: [{containerPort: 8080, name: http, protocol: TCP}]\n  \
         network: {mode: Bridge}\n  image: 'example/app:1'",
    );
    assert_eq!(of(&parsed(MINIMAL)), of(&parsed(&spelt_out)));
}

#[test]
fn what_a_running_container_can_be_given_is_not_hashed() {
    let changed = FULL
        .replace("sharedMemory: 64Mi", "sharedMemory: 64Mi, memory: 1Gi, cpu: 1, pids: 9")
        .replace("mode: '0750', uid: 1000", "mode: '0700'")
        .replace("  network:", "  restartPolicy: Never\n  imagePullPolicy: Always\n  network:");
    assert_ne!(changed, FULL);
    assert_eq!(of(&parsed(FULL)), of(&parsed(&changed)));
}

type Change = fn(&mut ContainerSpec);

#[test]
fn every_field_changes_the_hash_and_is_named() {
    let secret = |path| EnvValue::SecretFile(PathBuf::from(path));
    let table: [(&str, Change); 14] = [
        ("image", |spec| spec.image.push('0')),
        ("command", |spec| spec.command = None),
        ("args", |spec| spec.args = Some(Vec::new())),
        ("workingDir", |spec| spec.working_dir = None),
        ("env.MODE", |spec| {
            spec.env.remove("MODE");
        }),
        ("env.NEW", |spec| {
            spec.env.insert("NEW".to_owned(), EnvValue::Literal(String::new()));
        }),
        ("ports[http]", |spec| spec.ports[0].container_port = 81),
        ("ports[dns]", |spec| spec.ports[1].host_port = None),
        ("mounts[/data]", |spec| spec.mounts[0].read_only = false),
        ("resources.limits.sharedMemory", |spec| spec.shared_memory = Some(1)),
        ("securityContext", |spec| spec.security.seccomp = Seccomp::RuntimeDefault),
        ("securityContext", |spec| spec.security.capabilities.clear()),
        ("runtimeClassName", |spec| spec.runtime = None),
        ("network", |spec| spec.network = NetworkChoice::None),
    ];
    let full = parsed(FULL);
    for (field, change) in table {
        let mut changed = full.clone();
        change(&mut changed);
        assert_ne!(of(&full).spec_hash, of(&changed).spec_hash, "{field}");
        assert_eq!(of(&full).differences(&of(&changed)), [field]);
        assert_eq!(of(&changed).differences(&of(&full)), [field]);
    }
    let mut moved = full.clone();
    moved.env.insert("TOKEN".to_owned(), secret("/run/secrets/other"));
    assert_eq!(of(&full).differences(&of(&moved)), ["env.TOKEN"]);
}

#[test]
fn an_absent_list_of_arguments_is_not_an_empty_one() {
    let absent = container_spec("app:1");
    let empty = ContainerSpec { args: Some(Vec::new()), ..absent.clone() };
    assert_ne!(of(&absent).spec_hash, of(&empty).spec_hash);
}

#[test]
fn ports_that_trade_places_are_another_spec() {
    let port = |name: &str, container_port| Port {
        name: name.to_owned(),
        container_port,
        protocol: Protocol::Tcp,
        host_port: None,
        host_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let with = |ports| ContainerSpec { ports, ..container_spec("app:1") };
    let one = with(vec![port("a", 1), port("b", 2)]);
    let other = with(vec![port("a", 2), port("b", 1)]);
    assert_eq!(of(&one).differences(&of(&other)), ["ports[a]", "ports[b]"]);
    // Their order in the file says nothing.
    let turned = with(vec![port("b", 2), port("a", 1)]);
    assert_eq!(of(&one), of(&turned));
}

#[test]
fn a_changed_secret_is_a_changed_spec_and_names_its_variable_only() {
    let spec = parsed(FULL);
    let (one, other) = (token("aa"), token("bb"));
    let (one, other) = (Fingerprint::of(&spec, &one), Fingerprint::of(&spec, &other));
    assert_eq!(one.differences(&other), ["env.TOKEN"]);
    assert_ne!(one, of(&spec), "one that could not be read is another still");
    // A digest for a variable that is no secret counts for nothing.
    let stray = BTreeMap::from([("MODE".to_owned(), "cc".to_owned())]);
    assert_eq!(Fingerprint::of(&spec, &stray), of(&spec));
}

#[test]
fn a_secrets_digest_depends_on_key_and_content_and_shows_neither() {
    let digest = secret_digest(b"key", b"hunter2");
    assert_eq!(digest.len(), 64);
    assert_eq!(digest, secret_digest(b"key", b"hunter2"));
    assert_ne!(digest, secret_digest(b"key", b"hunter3"));
    assert_ne!(digest, secret_digest(b"another", b"hunter2"));
    assert_ne!(digest, hex::encode(Sha256::digest(b"hunter2")));
}

#[test]
fn labels_bring_back_what_they_were_made_from() {
    for spec in [parsed(MINIMAL), parsed(FULL)] {
        let fingerprint = of(&spec);
        let read = Fingerprint::from_labels(&fingerprint.spec_hash, &fingerprint.fields_label());
        assert_eq!(read, fingerprint);
    }
}

#[test]
fn a_fields_label_that_cannot_be_read_costs_the_explanation_only() {
    let fingerprint = of(&parsed(MINIMAL));
    for label in ["", "nonsense", "image", ",,="] {
        let read = Fingerprint::from_labels(&fingerprint.spec_hash, label);
        assert_eq!(read.spec_hash, fingerprint.spec_hash);
        assert!(read.differences(&fingerprint).contains(&"image".to_owned()), "{label}");
    }
}

/// Names are the user's, and the label's separators are not reserved in them.
#[test]
fn a_name_with_separators_survives_the_label() {
    for name in ["A,B", "A,B,", "%2C", "A%,B", "100%", "%252C"] {
        let mut spec = parsed(FULL);
        spec.mounts[0].mount_path = format!("/{name}=x");
        spec.env.insert(name.to_owned(), EnvValue::Literal(String::new()));
        let fingerprint = of(&spec);
        let read = Fingerprint::from_labels(&fingerprint.spec_hash, &fingerprint.fields_label());
        assert_eq!(read, fingerprint, "{name}");
    }
}
