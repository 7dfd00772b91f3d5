use bollard::models::SystemVersionComponents;

use super::*;

fn version(component: &str) -> SystemVersion {
    let component = SystemVersionComponents {
        name: component.to_owned(),
        ..SystemVersionComponents::default()
    };
    SystemVersion { components: Some(vec![component]), ..SystemVersion::default() }
}

#[test]
fn an_engine_is_known_by_its_parts() {
    assert_eq!(Dialect::of(&version("Engine")), Dialect::Docker);
    assert_eq!(Dialect::of(&version("Podman Engine")), Dialect::Podman);
    assert_eq!(Dialect::of(&SystemVersion::default()), Dialect::Docker);
}

#[test]
fn podman_is_identified_by_host_and_storage_for_its_id_changes_with_every_process() {
    let info = |id: &str, root: &str| SystemInfo {
        id: Some(id.to_owned()),
        name: Some("host".to_owned()),
        docker_root_dir: Some(root.to_owned()),
        ..SystemInfo::default()
    };
    let id = |info| Dialect::Podman.engine_id(&info);
    assert_eq!(id(info("1", "/a")), id(info("2", "/a")));
    assert_ne!(id(info("1", "/a")), id(info("1", "/b")));
    assert!(matches!(id(info("1", "")), Err(EngineError::Garbled { .. })));
    assert_eq!(Dialect::Docker.engine_id(&info("1", "/a")), Ok("1".to_owned()));
}

#[test]
fn podmans_default_network_goes_by_dockers_name() {
    assert_eq!(Dialect::Podman.network("bridge"), "podman");
    assert_eq!(Dialect::Podman.bare_network("podman".to_owned()), "bridge");
    assert_eq!(Dialect::Docker.network("bridge"), "bridge");
    assert_eq!(Dialect::Docker.bare_network("podman".to_owned()), "podman");
}
