use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::book::choose;
use super::*;
use crate::plan::BlockerKind;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn config(base: u16, count: u16) -> Ports {
    Ports { base, count, bind: LOOPBACK, advertise: "localhost".to_owned() }
}

fn allocated(name: &str) -> Port {
    Port {
        name: name.to_owned(),
        container_port: 80,
        protocol: Protocol::Tcp,
        host_port: None,
        host_ip: LOOPBACK,
    }
}

fn fixed(name: &str, port: u16) -> Port {
    Port { host_port: Some(port), ..allocated(name) }
}

fn ports(pairs: &[(&str, u16)]) -> BTreeMap<String, u16> {
    pairs.iter().map(|(name, port)| ((*name).to_owned(), *port)).collect()
}

fn remembered(pairs: &[(&str, &[(&str, u16)])]) -> BTreeMap<String, BTreeMap<String, u16>> {
    pairs.iter().map(|(sandbox, held)| ((*sandbox).to_owned(), ports(held))).collect()
}

/// A book whose bind test finds everything free.
fn book(base: u16, count: u16, held: &[(&str, &[(&str, u16)])]) -> PortBook {
    let mut book = PortBook::new(config(base, count), remembered(held));
    book.probe = |_, _, _| true;
    book
}

fn assign(book: &PortBook, sandbox: &str, wanted: &[Port]) -> BTreeMap<String, u16> {
    book.assign(sandbox, wanted, &BTreeMap::new()).unwrap()
}

fn refusal(book: &PortBook, sandbox: &str, wanted: &[Port]) -> String {
    let blocker = book.assign(sandbox, wanted, &BTreeMap::new()).unwrap_err();
    assert_eq!(blocker.kind, BlockerKind::PortConflict);
    blocker.message
}

mod choice {
    use super::*;

    #[test]
    fn the_first_port_that_is_neither_taken_nor_unusable() {
        let taken = BTreeSet::from([8080, 8082]);
        assert_eq!(choose(8080, 10, &taken, |port| port != 8081), Some(8083));
        assert_eq!(choose(8080, 3, &taken, |port| port != 8081), None);
        assert_eq!(choose(8080, 0, &BTreeSet::new(), |_| true), None);
    }

    #[test]
    fn a_range_ends_with_the_last_port() {
        assert_eq!(choose(65534, 100, &BTreeSet::from([65534]), |_| true), Some(65535));
        assert_eq!(choose(65534, 100, &BTreeSet::from([65534, 65535]), |_| true), None);
        assert_eq!(choose(0, 2, &BTreeSet::new(), |_| true), Some(1));
    }

    #[test]
    fn taken_ports_are_not_tried() {
        let tries = Cell::new(0);
        let count = |_| {
            tries.set(tries.get() + 1);
            true
        };
        choose(8080, 10, &BTreeSet::from([8080, 8081]), count);
        assert_eq!(tries.get(), 1);
    }
}

#[test]
fn every_sandbox_gets_its_own_port_and_keeps_it() {
    let book = book(8080, 10, &[]);
    assert_eq!(assign(&book, "a", &[allocated("http")]), ports(&[("http", 8080)]));
    assert_eq!(
        assign(&book, "b", &[allocated("http"), allocated("admin")]),
        ports(&[("admin", 8082), ("http", 8081)])
    );
    book.release("a");
    assert_eq!(assign(&book, "b", &[allocated("http")]), ports(&[("http", 8081)]));
    assert_eq!(assign(&book, "c", &[allocated("http")]), ports(&[("http", 8080)]));
}

#[test]
fn a_remembered_port_is_kept_without_a_bind_test() {
    let mut book = book(8080, 10, &[("a", &[("http", 8085)])]);
    book.probe = |_, _, _| panic!("the sandbox's own container may publish it");
    assert_eq!(assign(&book, "a", &[allocated("http")]), ports(&[("http", 8085)]));
    let known = ports(&[("http", 8086)]);
    assert_eq!(book.assign("b", &[allocated("http")], &known).unwrap(), known);
}

#[test]
fn a_remembered_port_outside_the_range_is_kept_too() {
    let book = book(9000, 10, &[("a", &[("http", 8085)])]);
    assert_eq!(assign(&book, "a", &[allocated("http")]), ports(&[("http", 8085)]));
}

#[test]
fn a_remembered_port_that_another_sandbox_holds_is_not_given_again() {
    let book = book(8080, 10, &[("a", &[("http", 8080)])]);
    let known = ports(&[("http", 8080)]);
    assert_eq!(book.assign("b", &[allocated("http")], &known).unwrap(), ports(&[("http", 8081)]));
}

#[test]
fn where_two_remember_the_same_port_the_first_to_ask_keeps_it() {
    let twice: [(&str, &[(&str, u16)]); 2] = [("a", &[("http", 8080)]), ("b", &[("http", 8080)])];
    let book = book(8080, 10, &twice);
    assert_eq!(assign(&book, "b", &[allocated("http")]), ports(&[("http", 8080)]));
    assert_eq!(assign(&book, "a", &[allocated("http")]), ports(&[("http", 8081)]));
}

#[test]
fn a_fixed_port_is_given_as_it_is_and_allocation_goes_around_it() {
    let book = book(8080, 10, &[]);
    let wanted = [allocated("http"), fixed("admin", 8080), fixed("far", 20000)];
    let expected = ports(&[("admin", 8080), ("far", 20000), ("http", 8081)]);
    assert_eq!(assign(&book, "a", &wanted), expected);
}

#[test]
fn a_fixed_port_that_another_sandbox_holds_is_refused_by_its_name_and_the_older_keeps_it() {
    let book = book(8080, 10, &[("old", &[("http", 9000)])]);
    let message = refusal(&book, "new", &[fixed("http", 9000)]);
    assert!(message.contains("9000 is held by the sandbox old"), "{message}");
    assert_eq!(assign(&book, "old", &[fixed("http", 9000)]), ports(&[("http", 9000)]));
    let message = refusal(&book, "new", &[fixed("http", 9000)]);
    assert!(message.contains("the sandbox old"), "{message}");
    book.release("old");
    assert_eq!(assign(&book, "new", &[fixed("http", 9000)]), ports(&[("http", 9000)]));
}

#[test]
fn the_same_number_on_another_protocol_or_address_is_another_port() {
    let book = book(8080, 10, &[]);
    assign(&book, "a", &[fixed("dns", 5353)]);
    let udp = Port { protocol: Protocol::Udp, ..fixed("dns", 5353) };
    let elsewhere = Port { host_ip: "127.0.0.2".parse().unwrap(), ..fixed("dns", 5353) };
    let everywhere = Port { host_ip: "0.0.0.0".parse().unwrap(), ..fixed("dns", 5353) };
    assert_eq!(assign(&book, "b", &[udp]), ports(&[("dns", 5353)]));
    assert_eq!(assign(&book, "c", &[elsewhere]), ports(&[("dns", 5353)]));
    assert!(refusal(&book, "d", &[everywhere]).contains("held by the sandbox"));
}

#[test]
fn two_that_share_a_number_by_protocol_both_keep_it_over_a_restart() {
    let shared: [(&str, &[(&str, u16)]); 2] = [("a", &[("dns", 5353)]), ("b", &[("dns", 5353)])];
    let udp = Port { protocol: Protocol::Udp, ..fixed("dns", 5353) };
    let book = book(8080, 10, &shared);
    assert_eq!(assign(&book, "b", &[udp]), ports(&[("dns", 5353)]));
    assert_eq!(assign(&book, "a", &[fixed("dns", 5353)]), ports(&[("dns", 5353)]));
}

#[test]
fn a_failure_changes_nothing() {
    let book = book(8080, 10, &[]);
    assign(&book, "a", &[allocated("http")]);
    assign(&book, "other", &[fixed("http", 9000)]);
    refusal(&book, "a", &[allocated("new"), fixed("http", 9000)]);
    assert_eq!(assign(&book, "b", &[allocated("http")]), ports(&[("http", 8081)]));
    assert_eq!(assign(&book, "a", &[allocated("http")]), ports(&[("http", 8080)]));
}

#[test]
fn a_port_that_left_the_spec_is_free_again() {
    let book = book(8080, 10, &[]);
    assign(&book, "a", &[allocated("http"), allocated("admin")]);
    assign(&book, "a", &[allocated("admin")]);
    assert_eq!(assign(&book, "b", &[allocated("http")]), ports(&[("http", 8080)]));
}

#[test]
fn a_used_up_range_is_refused_with_the_range() {
    let book = book(8080, 2, &[]);
    assign(&book, "a", &[allocated("http"), allocated("admin")]);
    let message = refusal(&book, "b", &[allocated("web")]);
    assert!(message.contains("from 8080 to 8081") && message.contains("port web"), "{message}");
}

mod taken_by_others {
    use super::*;

    fn free(_: IpAddr, _: Protocol, _: u16) -> bool {
        true
    }

    fn given(book: &mut Book, sandbox: &str, known: &[(&str, u16)], now: Instant) -> u16 {
        book.assign(sandbox, &[allocated("http")], &ports(known), free, now).unwrap()["http"]
    }

    #[test]
    fn a_port_that_the_engine_calls_busy_is_replaced_and_avoided_for_a_minute() {
        let now = Instant::now();
        let mut book = Book::new(config(8080, 10), BTreeMap::new());
        assert_eq!(given(&mut book, "a", &[], now), 8080);
        book.mark_taken("a", "http", 8080, now);
        // The sandbox's own memory still names it.
        assert_eq!(given(&mut book, "a", &[("http", 8080)], now), 8081);
        let soon = now + Duration::from_secs(59);
        assert_eq!(given(&mut book, "b", &[], soon), 8082);
        let later = now + Duration::from_mins(1);
        assert_eq!(given(&mut book, "a", &[("http", 8080)], later), 8081);
        assert_eq!(given(&mut book, "c", &[], later), 8080);
    }

    #[test]
    fn a_busy_fixed_port_stays_what_the_user_said() {
        let book = book(9000, 10, &[]);
        assign(&book, "a", &[fixed("http", 9000)]);
        book.mark_taken("a", "http", 9000);
        assert_eq!(assign(&book, "a", &[fixed("http", 9000)]), ports(&[("http", 9000)]));
    }

    #[test]
    fn word_of_an_old_port_does_not_cost_the_new_one() {
        let book = book(8080, 10, &[]);
        assign(&book, "a", &[allocated("http")]);
        book.mark_taken("a", "http", 8089);
        assert_eq!(assign(&book, "a", &[allocated("http")]), ports(&[("http", 8080)]));
    }

    /// Two neighbours of which the first is bound.
    fn bound_tcp() -> (TcpListener, u16) {
        let listener = TcpListener::bind((LOOPBACK, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[test]
    fn a_port_that_another_program_has_cannot_be_bound() {
        let (listener, port) = bound_tcp();
        assert!(!can_bind(LOOPBACK, Protocol::Tcp, port));
        drop(listener);
        let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        assert!(!can_bind(LOOPBACK, Protocol::Udp, socket.local_addr().unwrap().port()));
    }

    #[test]
    fn an_address_of_another_host_is_for_the_engine_to_judge() {
        assert!(can_bind("192.0.2.1".parse().unwrap(), Protocol::Tcp, 8080));
    }

    #[test]
    fn a_port_that_another_program_has_is_not_allocated() {
        let (_listener, port) = bound_tcp();
        let book = PortBook::new(config(port, 1), BTreeMap::new());
        assert!(refusal(&book, "a", &[allocated("http")]).contains(&format!("from {port} to")));
    }
}

#[test]
fn forty_threads_get_forty_ports() {
    let book = book(8080, 40, &[]);
    let given: BTreeSet<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..40)
            .map(|number| {
                let book = &book;
                scope.spawn(
                    move || assign(book, &format!("s{number}"), &[allocated("http")])["http"],
                )
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(given, (8080..8120).collect());
}
