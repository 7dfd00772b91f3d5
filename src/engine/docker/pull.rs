//! Pulling images. Private registries are not asked with credentials: what `docker pull` keeps in a
//! user's home is that user's.

use std::collections::BTreeMap;
use std::fmt;

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt as _;
use tokio::time::{Instant, timeout};

use super::{Docker, PULL_IDLE, errors};
use crate::engine::text::clean;
use crate::engine::{Call, EngineError, PullProgress};

impl Docker {
    pub(super) async fn pull_image(
        &self,
        image: &str,
        progress: &PullProgress,
    ) -> Result<(), EngineError> {
        let options = CreateImageOptionsBuilder::new().from_image(&with_tag(image)).build();
        let mut messages = self.client.create_image(Some(options), None, None);
        let started = Instant::now();
        let mut layers = Layers::default();
        loop {
            let late =
                |_| EngineError::OutcomeUnknown { call: Call::Pull.name(), after: PULL_IDLE };
            match timeout(PULL_IDLE, messages.next()).await.map_err(late)? {
                None => return Ok(()),
                Some(Ok(message)) => {
                    layers.note(message);
                    progress.send_replace(layers.to_string());
                }
                Some(Err(error)) => {
                    let after = started.elapsed();
                    return Err(errors::translate(Call::Pull, &self.address, &error, after));
                }
            }
        }
    }
}

/// The reference with its tag spelt out: without one, the engine would pull every tag there is.
fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") }
}

/// Progress of each layer, by its id.
#[derive(Debug, Default)]
struct Layers {
    layers: BTreeMap<String, Layer>,
    /// What the engine said last of the whole.
    status: String,
}

#[derive(Debug, Default)]
struct Layer {
    done: bool,
    current: i64,
    total: i64,
}

impl Layers {
    fn note(&mut self, message: CreateImageInfo) {
        let status = message.status.unwrap_or_default();
        match message.id {
            Some(id) if is_layer(&status) => {
                let layer = self.layers.entry(id).or_default();
                layer.done = matches!(status.as_str(), "Pull complete" | "Already exists");
                let detail = message.progress_detail.filter(|_| status == "Downloading");
                if let Some(detail) = detail {
                    layer.current = detail.current.unwrap_or(layer.current);
                    layer.total = detail.total.unwrap_or(layer.total);
                }
                if matches!(status.as_str(), "Download complete" | "Pull complete") {
                    layer.current = layer.total;
                }
            }
            _ => self.status = clean(&status),
        }
    }
}

/// `Pulling from library/web` carries the tag as its id; everything else with an id is a layer.
fn is_layer(status: &str) -> bool {
    !status.starts_with("Pulling from")
}

impl fmt::Display for Layers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.layers.is_empty() {
            return formatter.write_str(&self.status);
        }
        let done = self.layers.values().filter(|layer| layer.done).count();
        write!(formatter, "{done} of {} layers", self.layers.len())?;
        let total: i64 = self.layers.values().map(|layer| layer.total).sum();
        if total == 0 {
            return Ok(());
        }
        let current: i64 = self.layers.values().map(|layer| layer.current).sum();
        write!(formatter, ", {} of {} MB", current / 1_000_000, (total + 999_999) / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    fn message(id: Option<&str>, status: &str, bytes: Option<(i64, i64)>) -> CreateImageInfo {
        CreateImageInfo {
            id: id.map(ToOwned::to_owned),
            status: Some(status.to_owned()),
            progress_detail: bytes.map(|(current, total)| ProgressDetail {
                current: Some(current),
                total: Some(total),
            }),
            error_detail: None,
        }
    }

    #[test]
    fn a_pull_names_one_tag() {
        assert_eq!(with_tag("web"), "web:latest");
        assert_eq!(with_tag("localhost:5000/web"), "localhost:5000/web:latest");
        assert_eq!(with_tag("localhost:5000/web:2"), "localhost:5000/web:2");
        assert_eq!(with_tag("web@sha256:00"), "web@sha256:00");
    }

    #[test]
    fn progress_counts_layers_and_bytes() {
        let mut layers = Layers::default();
        layers.note(message(Some("latest"), "Pulling from library/web", None));
        assert_eq!(layers.to_string(), "Pulling from library/web");
        layers.note(message(Some("aa"), "Already exists", None));
        layers.note(message(Some("bb"), "Downloading", Some((5_000_000, 20_000_000))));
        assert_eq!(layers.to_string(), "1 of 2 layers, 5 of 20 MB");
        layers.note(message(Some("bb"), "Download complete", None));
        layers.note(message(Some("bb"), "Extracting", Some((1, 2))));
        assert_eq!(layers.to_string(), "1 of 2 layers, 20 of 20 MB");
        layers.note(message(Some("bb"), "Pull complete", None));
        assert_eq!(layers.to_string(), "2 of 2 layers, 20 of 20 MB");
    }
}
