//! Whether the oracle sees: things happen that a broken daemon would do, behind its back, and each must
//! be reported.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::canary;
use crate::driver::Driver;
use crate::judge::Property;
use crate::oracle::NAME_LABEL;
use crate::script::{Broken, How, Op, Step};
use crate::spec::generation_in;

const PATIENCE: Duration = Duration::from_secs(30);

/// One thing that a broken daemon would do.
#[derive(Clone, Copy, Debug)]
enum Lie {
    Stops,
    Removes,
    StopsWithBrokenFile,
    StopsBeforeReplacement,
    RemovesTooEarly,
    Doubles,
    InventsASpec,
    TouchesForeign,
    LosesData,
    ReachesOutside,
    NeverRests,
    NeverConverges,
    Dies,
}

/// Each, what must be said of it, and of which sandbox.
const LIES: [(Lie, Property, &str); 13] = [
    (Lie::Stops, Property::StoppedWithoutCause, "s00"),
    (Lie::Removes, Property::StoppedWithoutCause, "s01"),
    (Lie::StopsWithBrokenFile, Property::StoppedWithoutCause, "s02"),
    (Lie::StopsBeforeReplacement, Property::StoppedBeforeReplacement, "s03"),
    (Lie::RemovesTooEarly, Property::StoppedWithoutCause, "s04"),
    (Lie::Doubles, Property::TwoAtOnce, "s05"),
    (Lie::InventsASpec, Property::FromNoSpec, "s06"),
    (Lie::TouchesForeign, Property::ForeignTouched, "foreign-0"),
    (Lie::LosesData, Property::DataLost, "s07"),
    (Lie::ReachesOutside, Property::ChangedOutside, "s08"),
    (Lie::NeverRests, Property::NotQuiet, "s09"),
    (Lie::NeverConverges, Property::NotConverged, "s00"),
    (Lie::Dies, Property::DaemonFailed, ""),
];

/// How many sandboxes they need.
pub(crate) const SANDBOXES: usize = 10;

/// Tells every lie; gives those that were believed.
pub(crate) async fn tell(driver: &mut Driver) -> Vec<String> {
    let mut believed = Vec::new();
    // Otherwise it would mend what is broken here.
    driver.kill_daemon();
    for (lie, property, about) in LIES {
        let before = driver.oracle.record().violations.len();
        tell_one(driver, lie, about).await;
        let seen = seen(driver, before, property, about).await;
        println!("{lie:?}: {}", if seen { "reported" } else { "NOT REPORTED" });
        if !seen {
            believed.push(format!("{lie:?} is not reported as: {property}"));
        }
    }
    believed
}

async fn seen(driver: &Driver, before: usize, property: Property, about: &str) -> bool {
    let end = Instant::now() + PATIENCE;
    loop {
        let seen = driver.oracle.record().violations[before..]
            .iter()
            .any(|it| it.property == property && it.text.contains(about));
        if seen || Instant::now() > end {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn tell_one(driver: &mut Driver, lie: Lie, about: &str) {
    let engine = driver.engine.clone();
    let main = driver.container_name(about);
    let step = |op| Step { pause: Duration::ZERO, op };
    // Whether the engine did it shows in what the oracle says.
    match lie {
        Lie::Stops => drop(engine.stop(&main).await),
        Lie::Removes => drop(engine.remove(&main).await),
        Lie::StopsWithBrokenFile => {
            driver.step(step(Op::Break(about.to_owned(), Broken::Garbage))).await;
            drop(engine.stop(&main).await);
        }
        Lie::StopsBeforeReplacement => {
            let mut spec = driver.spec(about).expect("it is declared");
            spec.generation += 500_000;
            let op = Op::Write { specs: vec![spec], how: How::Rename, class: "edit" };
            driver.step(step(op)).await;
            drop(engine.stop(&main).await);
        }
        Lie::RemovesTooEarly => {
            driver.step(step(Op::Delete(about.to_owned()))).await;
            drop(engine.remove(&main).await);
        }
        Lie::Doubles | Lie::InventsASpec => {
            let rows = engine.list().await.expect("the engine answers");
            let row = rows.into_iter().find(|row| row.name == main).expect("it runs");
            assert!(row.labels.contains_key(NAME_LABEL), "it has the label");
            let mut generation = generation_in(&row.command).expect("its command says");
            if matches!(lie, Lie::InventsASpec) {
                generation = 1;
                engine.stop(&main).await.expect("it can be stopped");
            }
            let command = format!("GEN={generation}; exec sleep 100000");
            let twin = engine.run(&format!("{main}.new"), &command, row.labels, None).await;
            twin.expect("the engine runs a container");
        }
        Lie::TouchesForeign => drop(engine.kill(&main).await),
        Lie::LosesData => {
            let path = canary::data(driver.folder()).join(about).join("canary");
            std::fs::write(path, "nothing\n").expect("it can be written");
        }
        Lie::ReachesOutside => {
            let path = driver.folder().join("outside").join(about).join("secret");
            let wide = std::fs::Permissions::from_mode(0o770);
            std::fs::set_permissions(path, wide).expect("it can be changed");
        }
        Lie::NeverRests => {
            let lied = async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                engine.limit(&main, 33).await
            };
            let (lied, ()) = tokio::join!(lied, driver.oracle.quiet(Duration::from_secs(2)));
            lied.expect("a limit can be changed");
        }
        Lie::NeverConverges => driver.rest(Duration::from_secs(1), Duration::ZERO).await,
        Lie::Dies => driver.lose_daemon().await,
    }
}
