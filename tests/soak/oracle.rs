//! The oracle: looks at all containers several times a second, hears every event of the engine, and judges
//! by its own reading of the specs. It never asks the program.

mod record;

pub(crate) use record::{Record, Violation};

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures::StreamExt as _;
use serde_json::Value;
use tokio::sync::Notify;

use crate::canary;
use crate::engine::{Engine, Row};
use crate::history::Nanos;
use crate::judge::{self, Expected, Property};
use crate::spec::generation_in;

/// Label with the sandbox's name, by the README.
pub(crate) const NAME_LABEL: &str = "sandkeeper.dev/name";

const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// So often between two looks are files and foreign containers looked at too.
const THOROUGH: usize = 10;

/// The engine's clock is this machine's.
pub(crate) fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos::try_from(since.as_nanos()).unwrap_or(Nanos::MAX)
}

/// A handle on what the oracle knows.
#[derive(Clone)]
pub(crate) struct Oracle {
    engine: Engine,
    record: Arc<Mutex<Record>>,
    poke: Arc<Notify>,
    prefix: String,
    folder: PathBuf,
}

impl Oracle {
    /// `prefix`: the one that the program was given. `folder`: where specs, mounts and log are.
    pub(crate) fn start(engine: &Engine, prefix: &str, folder: PathBuf) -> Self {
        let record = Arc::new(Mutex::new(Record::new(folder.join("daemon.log"))));
        let poke = Arc::new(Notify::new());
        let prefix = prefix.to_owned();
        let oracle = Self { engine: engine.clone(), record, poke, prefix, folder };
        tokio::spawn(oracle.clone().listen());
        tokio::spawn(oracle.clone().look_again_and_again());
        oracle
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("no holder panics")
    }

    /// Runs something that the driver does to a container, known by id and name, so that it is not taken
    /// for the daemon's doing.
    pub(crate) async fn by_driver<T>(&self, subjects: &[&str], act: impl Future<Output = T>) -> T {
        let begin =
            |record: &mut Record| subjects.iter().for_each(|it| record.acts.begin(it, now()));
        begin(&mut self.record());
        let result = act.await;
        for subject in subjects {
            self.record().acts.end(subject, now());
        }
        result
    }

    async fn listen(self) {
        let filters = std::collections::HashMap::from([("type", vec!["container"])]);
        let mut since = now() / 1_000_000_000;
        loop {
            let from = since.to_string();
            let options = EventsOptionsBuilder::new().filters(&filters).since(&from).build();
            let mut events = self.engine.0.events(Some(options));
            while let Some(Ok(event)) = events.next().await {
                since = event.time.unwrap_or(since);
                self.hear(event).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn hear(&self, event: EventMessage) {
        let (Some(action), Some(actor), Some(at)) = (event.action, event.actor, event.time_nano)
        else {
            return;
        };
        let (Some(id), attributes) = (actor.id, actor.attributes.unwrap_or_default()) else {
            return;
        };
        let name = attributes.get("name").cloned().unwrap_or_default();
        let new = {
            let mut record = self.record();
            if !record.is_new_event(&id, &action, at) {
                return;
            }
            if record.is_foreign(&id, &name) {
                record.foreign_event(&id, &name, &action, at);
                return;
            }
            let Some(sandbox) = self.sandbox_of(&name, attributes.get(NAME_LABEL)) else { return };
            record.owned_event(&id, &name, &sandbox, &action, at);
            (action == "create").then_some(sandbox)
        };
        if let Some(sandbox) = new
            && let Ok(Some(inspect)) = self.engine.inspect(&id).await
        {
            let command = inspect.pointer("/Args").map(Value::to_string).unwrap_or_default();
            self.record().made_from(&id, &sandbox, generation_in(&command));
        }
        self.poke.notify_one();
    }

    /// The sandbox that a container of ours belongs to: by its label, if it is of this world.
    fn sandbox_of(&self, name: &str, label: Option<&String>) -> Option<String> {
        label.filter(|_| name.starts_with(&self.prefix)).cloned()
    }

    async fn look_again_and_again(self) {
        let mut count = 0;
        loop {
            let woken = tokio::time::timeout(BETWEEN_LOOKS, self.poke.notified()).await;
            // Not more often than it can be afforded.
            if woken.is_ok() {
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
            if let Ok(rows) = self.engine.list().await {
                self.look(&rows).await;
            }
            if count % THOROUGH == 0 {
                self.look_at_files();
            }
            count += 1;
        }
    }

    async fn look(&self, rows: &[Row]) {
        let owned = self.owned(rows);
        self.record().looks += 1;
        let running = owned
            .iter()
            .flat_map(|(sandbox, rows)| rows.iter().map(move |row| (sandbox.as_str(), *row)))
            .filter(|(_, row)| row.state == "running" || row.state == "paused")
            .map(|(sandbox, row)| (sandbox, row.id.as_str()));
        for (sandbox, ids) in judge::doubled(running) {
            self.confirm_double(sandbox, &ids).await;
        }
        let awaited = self.record().awaited();
        for (sandbox, expected) in awaited {
            let rows = owned.get(&sandbox).map_or(&[][..], Vec::as_slice);
            if plausible(&expected, rows) && self.matches(&sandbox, &expected, rows).await.is_ok() {
                self.record().arrived(&sandbox, &expected);
            }
        }
    }

    /// Containers of ours, by sandbox.
    fn owned<'a>(&self, rows: &'a [Row]) -> BTreeMap<String, Vec<&'a Row>> {
        let record = self.record();
        let mut owned: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
        for row in rows.iter().filter(|row| !record.is_foreign(&row.id, &row.name)) {
            if let Some(sandbox) = self.sandbox_of(&row.name, row.labels.get(NAME_LABEL)) {
                owned.entry(sandbox).or_default().push(row);
            }
        }
        owned
    }

    /// A list is no instant. The first runs before and after the second was seen to run: both ran then.
    async fn confirm_double(&self, sandbox: &str, ids: &BTreeSet<&str>) {
        let mut order: Vec<&str> = ids.iter().copied().collect();
        order.extend(ids.first());
        let mut names = Vec::new();
        for id in order {
            let Ok(Some(inspect)) = self.engine.inspect(id).await else { return };
            if inspect.pointer("/State/Running") != Some(&Value::Bool(true)) {
                return;
            }
            names.push(inspect["Name"].to_string());
        }
        if self.record().excuses(ids, now()) {
            return;
        }
        let key = format!("{ids:?}");
        self.record().accuse_once(&key, Property::TwoAtOnce, sandbox, &format!("{names:?}"));
    }

    /// Whether everything about a sandbox is as expected.
    async fn matches(
        &self,
        sandbox: &str,
        expected: &Expected,
        rows: &[&Row],
    ) -> Result<(), String> {
        let mut found = Vec::new();
        for row in rows {
            if let Ok(Some(inspect)) = self.engine.inspect(&row.id).await {
                found.push(inspect);
            }
        }
        judge::compare(expected, &self.prefix, sandbox, &found)?;
        match expected {
            Expected::Runs(spec) if spec.mount => canary::modes_hold(&self.folder, sandbox),
            _ => Ok(()),
        }
    }

    /// Data and foreign files.
    fn look_at_files(&self) {
        let names = self.record().canaries.clone();
        for name in names {
            for (property, what) in canary::check(&self.folder, &name) {
                self.record().accuse_once(&what, property, &name, &what);
            }
        }
    }

    /// Remembers what a foreign container is.
    pub(crate) async fn remember_foreign(&self, id: &str) {
        if let Ok(Some(inspect)) = self.engine.inspect(id).await {
            self.record().foreign_identity(id, judge::identity(&inspect));
        }
    }

    /// Compares every foreign container with what it was.
    async fn look_at_foreign(&self) {
        let remembered = self.record().foreign_identities();
        for (id, before) in remembered {
            let now = match self.engine.inspect(&id).await {
                Ok(Some(inspect)) => judge::identity(&inspect),
                Ok(None) => Value::Null,
                Err(_) => continue,
            };
            if now != before {
                let what = format!("{before} became {now}");
                self.record().accuse_once(&what, Property::ForeignTouched, "", &what);
            }
        }
    }

    /// Waits until every sandbox is as expected; gives those that are not in time, with reasons.
    pub(crate) async fn converged(&self, patience: Duration) -> BTreeMap<String, String> {
        let end = Instant::now() + patience;
        loop {
            let wrong = self.wrong().await;
            if wrong.is_empty() || Instant::now() > end {
                return wrong;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn wrong(&self) -> BTreeMap<String, String> {
        let rows = match self.engine.list().await {
            Ok(rows) => rows,
            Err(error) => return BTreeMap::from([(String::new(), error.to_string())]),
        };
        let owned = self.owned(&rows);
        let expected = self.record().all_expected();
        let mut wrong = BTreeMap::new();
        for (sandbox, expected) in expected {
            let rows = owned.get(&sandbox).map_or(&[][..], Vec::as_slice);
            if let Err(why) = self.matches(&sandbox, &expected, rows).await {
                wrong.insert(sandbox, why);
            }
        }
        wrong
    }

    /// Watches a world at rest for so long: no event of ours may come, nothing foreign may have changed.
    pub(crate) async fn quiet(&self, during: Duration) {
        self.record().rest_begins();
        tokio::time::sleep(during).await;
        self.record().rest_ends();
        self.look_at_foreign().await;
        self.look_at_files();
        for (sandbox, why) in self.wrong().await {
            self.record().accuse(Property::NotConverged, &sandbox, &format!("no longer: {why}"));
        }
    }
}

/// Whether a list alone rules it out; saves the engine most questions.
fn plausible(expected: &Expected, rows: &[&Row]) -> bool {
    match (expected, rows) {
        (Expected::Runs(spec), [one]) => {
            one.state == "running" && generation_in(&one.command) == Some(spec.generation)
        }
        (Expected::Runs(_), _) => false,
        (Expected::Nothing | Expected::Taken, rows) => rows.is_empty(),
        (Expected::Stopped, rows) => rows.iter().all(|row| row.state != "running"),
        (Expected::Held, rows) => rows.len() <= 1,
    }
}
