//! What becomes of orders of clusters.

use super::*;

fn asked(cluster: &str, id: u64) -> Asked {
    let order = Order::Prepare { id, image: "r.example/os:1".to_owned() };
    Asked { cluster: cluster.to_owned(), order }
}

/// As `a1 b1`.
fn waiting(orders: &Orders) -> String {
    let reported = orders.waiting.iter().map(|asked| match &asked.order {
        Order::Prepare { id, .. } => format!("{}{id}", asked.cluster),
        Order::Reboot { .. } => format!("{} reboot", asked.cluster),
        Order::Kubelet { .. } => format!("{} kubelet", asked.cluster),
    });
    reported.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_last_word_of_a_cluster_counts() {
    let mut orders = Orders::default();
    for (cluster, id) in [("a", 1), ("b", 1), ("a", 2)] {
        orders.take(asked(cluster, id));
    }
    assert_eq!(waiting(&orders), "b1 a2");
    orders.take(Asked { cluster: "b".to_owned(), order: Order::Reboot { reason: String::new() } });
    assert_eq!(waiting(&orders), "a2 b reboot");
    orders.forget("a");
    assert_eq!(waiting(&orders), "b reboot");
}

#[test]
fn a_reboot_is_now_or_not_at_all() {
    let reboot = || Asked { cluster: "b".to_owned(), order: Order::Reboot { reason: String::new() } };
    let mut orders = Orders::default();
    orders.take(asked("a", 1));
    orders.take(reboot());
    assert_eq!(orders.next(true), None);
    assert_eq!(waiting(&orders), "a1");
    orders.take(reboot());
    assert_eq!((orders.next(false), orders.next(false)), (Some(asked("a", 1)), Some(reboot())));
    assert_eq!(orders.next(false), None);
}

#[tokio::test]
async fn what_came_of_an_order_is_reported_once() {
    let underway = |end, cluster: &str| {
        let listening = tokio::spawn(async {}).abort_handle();
        Underway { cluster: cluster.to_owned(), id: 7, image: "i".to_owned(), end, listening }
    };
    let (ending, end) = oneshot::channel();
    let mut orders = Orders { underway: Some(underway(end, "a")), ..Orders::default() };
    assert_eq!(orders.ended(), None);
    // It runs no more, and what came of it is still on its way.
    let reported = orders.operation(None).unwrap();
    assert_eq!((reported.name.as_str(), reported.image.as_deref()), ("upgrade", Some("i")));
    ending.send(Err(Failure::refused("no"))).unwrap();
    let failed = Failed { order: 7, image: "i".to_owned(), refused: true, message: "no".to_owned(), digest: None };
    assert_eq!(orders.ended(), Some(("a".to_owned(), Err(failed))));
    assert_eq!((orders.ended(), orders.operation(None)), (None, None));

    let (ending, end) = oneshot::channel::<Result<Outcome, Failure>>();
    orders.underway = Some(underway(end, "b"));
    drop(ending);
    let (name, result) = orders.ended().unwrap();
    assert!(name == "b" && !result.unwrap_err().refused);
}

#[tokio::test]
async fn an_order_of_another_cluster_goes_on() {
    let (ending, end) = oneshot::channel();
    let listening = tokio::spawn(std::future::pending::<()>());
    let underway =
        Underway { cluster: "a".to_owned(), id: 1, image: String::new(), end, listening: listening.abort_handle() };
    let mut orders = Orders { underway: Some(underway), ..Orders::default() };
    orders.take(asked("b", 1));
    assert!(orders.underway.is_some());
    orders.take(asked("a", 2));
    assert!(orders.underway.is_none() && listening.await.unwrap_err().is_cancelled());
    assert!(ending.is_closed());
}

#[test]
fn a_machine_that_could_not_be_looked_at_is_no_news() {
    let machine = || Facts { boot_id: "b".to_owned(), ..Facts::default() };
    let failure = || anyhow::anyhow!("the disk did not answer in time");
    let table = [
        (Ok((machine(), Vec::new())), true, 0),
        // One fact that is missing takes no other along.
        (Ok((machine(), vec![failure()])), true, 1),
        (Ok((Facts::default(), vec![failure()])), false, 1),
        (Err(failure()), false, 1),
    ];
    for (read, is_reported, warnings) in table {
        let (reported, errors) = known_machine(read);
        assert_eq!((reported.is_some(), errors.len()), (is_reported, warnings));
    }
}

#[test]
fn only_an_image_named_by_its_digest_may_be_older() {
    assert!(!upgrade("r.example/os:1").allow_downgrade);
    assert!(upgrade(&format!("r.example/os:1@sha256:{}", "a".repeat(64))).allow_downgrade);
}
