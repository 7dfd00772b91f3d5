//! Limits in Docker's terms. Tested on 20.10: zero in an update means "unchanged", a negative memory or
//! CPU limit is refused, and a quota of −1 lifts the CPU limit but then overrides every later one at
//! the next start. So only the limit on processes can be taken off an existing container.

use bollard::models::{ContainerUpdateBody, HostConfig};

use crate::engine::EngineError;
use crate::plan::Limits;

/// Microseconds of a scheduling period, unless a container says otherwise.
const DEFAULT_PERIOD: i64 = 100_000;

/// The limits that Docker enforces.
pub(super) fn in_force(host: &HostConfig) -> Limits {
    let positive = |value: Option<i64>| value.filter(|value| *value > 0);
    let nano_cpus = match host.cpu_quota.unwrap_or(0) {
        0 => positive(host.nano_cpus),
        // A quota wins over NanoCpus when the container is started.
        quota if quota < 0 => None,
        quota => {
            let period = positive(host.cpu_period).unwrap_or(DEFAULT_PERIOD);
            Some(quota.saturating_mul(1_000_000_000) / period)
        }
    };
    Limits { nano_cpus, memory: positive(host.memory), pids: positive(host.pids_limit) }
}

/// Whether an update gets from one to the other.
pub(super) fn updates_live(from: &Limits, to: &Limits) -> bool {
    stuck(from, to).is_none()
}

/// The limit, as users write it, that Docker cannot take off.
fn stuck(from: &Limits, to: &Limits) -> Option<&'static str> {
    if from.memory.is_some() && to.memory.is_none() {
        return Some("resources.limits.memory");
    }
    (from.nano_cpus.is_some() && to.nano_cpus.is_none()).then_some("resources.limits.cpu")
}

/// The update that brings a container from one to the other.
pub(super) fn update_body(from: &Limits, to: &Limits) -> Result<ContainerUpdateBody, EngineError> {
    if let Some(field) = stuck(from, to) {
        return Err(EngineError::Unsupported(format!(
            "Docker cannot remove {field} from an existing container; it takes a new one"
        )));
    }
    Ok(ContainerUpdateBody {
        nano_cpus: to.nano_cpus,
        memory: to.memory,
        // Memory cannot rise above what memory and swap were limited to unless both rise at once.
        memory_swap: to.memory,
        pids_limit: Some(to.pids.unwrap_or(-1)),
        ..ContainerUpdateBody::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Limits =
        Limits { nano_cpus: Some(500_000_000), memory: Some(64 << 20), pids: Some(50) };
    const NONE: Limits = Limits { nano_cpus: None, memory: None, pids: None };

    #[test]
    fn swap_rises_with_memory() {
        let body = update_body(&NONE, &SOME).unwrap();
        assert_eq!(body.memory, Some(64 << 20));
        assert_eq!(body.memory_swap, body.memory);
        assert_eq!(body.nano_cpus, Some(500_000_000));
        assert_eq!(body.pids_limit, Some(50));
    }

    #[test]
    fn only_the_limit_on_processes_can_be_lifted() {
        assert!(updates_live(&SOME, &Limits { pids: None, ..SOME }));
        assert!(!updates_live(&SOME, &Limits { memory: None, ..SOME }));
        assert!(!updates_live(&SOME, &Limits { nano_cpus: None, ..SOME }));
        assert!(updates_live(&NONE, &SOME));
        let error = update_body(&SOME, &Limits { memory: None, ..SOME }).unwrap_err();
        assert!(error.to_string().contains("resources.limits.memory"), "{error}");
        let lifted = update_body(&SOME, &Limits { pids: None, ..SOME }).unwrap();
        assert_eq!(lifted.pids_limit, Some(-1));
    }

    #[test]
    fn docker_writes_no_limit_as_zero_or_less() {
        let host = HostConfig {
            nano_cpus: Some(0),
            memory: Some(0),
            pids_limit: Some(-1),
            ..HostConfig::default()
        };
        assert_eq!(in_force(&host), NONE);
    }

    #[test]
    fn a_quota_set_by_hand_is_read_as_processors() {
        let quota = |cpu_quota, cpu_period| {
            let host = HostConfig {
                nano_cpus: Some(7),
                cpu_quota: Some(cpu_quota),
                cpu_period: Some(cpu_period),
                ..HostConfig::default()
            };
            in_force(&host).nano_cpus
        };
        assert_eq!(quota(50_000, 100_000), Some(500_000_000));
        assert_eq!(quota(25_000, 0), Some(250_000_000));
        assert_eq!(quota(-1, 0), None);
        assert_eq!(quota(0, 0), Some(7));
    }
}
