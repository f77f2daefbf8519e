//! What opens a gate, and what closes it.

use super::troubles::{MANY, TROUBLED};
use super::*;
use longshore_oci::Scope;
use url::Url;

fn call(path: &str) -> Call {
    let url = Url::parse(&format!("http://registry.example/v2/{path}")).unwrap();
    let scopes = if path.is_empty() { Vec::new() } else { vec![Scope::Catalog] };
    let mut call = Call::new(Method::GET, url, scopes, "asking".into());
    call.content_addressed = true;
    call
}

fn admit(gate: &Gate, path: &str) -> Result<Passage, Error> {
    gate.admit(&call(path), "registry.example", true)
}

fn doubt(gate: &Gate, path: &str, status: u16, retry_after: Option<&str>) -> Option<Doubt> {
    let mut answer = http::Response::builder().status(status);
    if let Some(value) = retry_after {
        answer = answer.header("retry-after", value);
    }
    stands(admit(gate, path).unwrap().answered(&answer.body("").unwrap().into(), None))
}

fn stands(verdict: Verdict) -> Option<Doubt> {
    match verdict {
        Verdict::Stands(doubt) => doubt,
        Verdict::Repeat => panic!("it is to be repeated"),
    }
}

/// An answer at a registry that says, when it is asked, that it is there.
async fn answer(gate: &Gate, path: &str, status: u16, retry_after: Option<&str>) {
    if let Some(doubt) = doubt(gate, path, status, retry_after) {
        doubt.settle(std::future::ready(true)).await;
    }
}

#[tokio::test]
async fn semantics_39_a_limit_closes_the_gate_for_the_time_that_was_asked_for() {
    let gate = Gate::default();
    answer(&gate, "a/manifests/1", 429, Some("120")).await;
    let refused = admit(&gate, "b/manifests/2").unwrap_err();
    assert!(refused.is_waiting() && refused.is_transient(), "{refused}");
    assert!(admit(&gate, "a/blobs/sha256:1").is_ok(), "what is under way may end");
    let Standing::Closed(closure) = gate.standing() else { panic!("it is open") };
    let left = closure.until.duration_since(Instant::now());
    assert!((118..=120).contains(&left.as_secs()), "{left:?}");
    gate.postpone(closure.number, Instant::now());
    answer(&gate, "b/manifests/2", 200, None).await;
    assert_eq!(gate.standing(), Standing::Open);
}

#[tokio::test]
async fn semantics_39_what_is_closed_is_opened_by_an_answer_alone() {
    let gate = Gate::default();
    assert!(admit(&gate, "a/tags/list").unwrap().failed(&Failure::Refused).is_none());
    assert!(admit(&gate, "a/blobs/sha256:1").is_err());
    gate.probe();
    assert_eq!(gate.standing(), Standing::Probing);
    doubt(&gate, "a/tags/list", 503, None).unwrap().settle(std::future::ready(false)).await;
    assert!(gate.is_closed());
    gate.probe();
    answer(&gate, "a/tags/list", 401, None).await;
    assert_eq!(gate.standing(), Standing::Probing, "a token comes first");
    answer(&gate, "a/tags/list", 404, None).await;
    assert_eq!(gate.standing(), Standing::Open);
}

#[tokio::test]
async fn semantics_37_one_thing_that_cannot_be_had_closes_nothing_while_the_registry_is_there() {
    let gate = Gate::default();
    for status in [502, 503, 504] {
        answer(&gate, "a/manifests/broken", status, None).await;
        assert_eq!(gate.standing(), Standing::Open, "{status}");
    }
    let hung = admit(&gate, "a/manifests/hung").unwrap().failed(&Failure::Timeout { seconds: 30 });
    hung.unwrap().settle(std::future::ready(true)).await;
    assert_eq!(gate.standing(), Standing::Open);
    answer(&gate, "a/manifests/good", 200, None).await;
    // It is known by now whose trouble it is, and the registry is not asked again.
    assert!(doubt(&gate, "a/manifests/broken", 503, None).is_none());
    assert!(doubt(&gate, "a/manifests/broken", 503, Some("9")).is_none());
    assert_eq!(gate.standing(), Standing::Open);
}

#[tokio::test]
async fn semantics_39_a_registry_that_is_away_when_it_is_asked_closes_the_gate_once_for_all_who_doubt_it() {
    let gate = Gate::default();
    let one = doubt(&gate, "a/manifests/1", 502, None).unwrap();
    let two = doubt(&gate, "a/manifests/2", 502, None).unwrap();
    one.settle(std::future::ready(false)).await;
    assert!(gate.is_closed());
    two.settle(async { panic!("it was asked twice") }).await;

    let gate = Gate::default();
    let one = doubt(&gate, "a/manifests/1", 502, None).unwrap();
    let two = doubt(&gate, "a/manifests/2", 502, None).unwrap();
    one.settle(std::future::ready(true)).await;
    two.settle(async { panic!("it was asked twice") }).await;
    assert_eq!(gate.standing(), Standing::Open);
}

#[tokio::test]
async fn semantics_39_many_things_in_a_row_that_cannot_be_had_close_the_gate() {
    let gate = Gate::default();
    for number in 1..MANY {
        answer(&gate, &format!("a/manifests/{number}"), 503, None).await;
        assert_eq!(gate.standing(), Standing::Open);
    }
    answer(&gate, "a/manifests/last", 503, None).await;
    assert!(gate.is_closed(), "though it says that it is there");
    gate.probe();
    assert!(doubt(&gate, "a/manifests/1", 503, None).is_none());
    assert!(gate.is_closed(), "one request is enough to see that it still is away");
    gate.probe();
    answer(&gate, "a/tags/list", 200, None).await;
    answer(&gate, "a/manifests/1", 503, None).await;
    assert_eq!(gate.standing(), Standing::Open);
}

#[tokio::test]
async fn semantics_39_many_errors_of_the_server_in_a_row_close_the_gate_and_few_do_not() {
    for status in [500, 507, 522] {
        let gate = Gate::default();
        for number in 0..20 {
            answer(&gate, &format!("a/manifests/{number}"), status, None).await;
            assert_eq!(gate.is_closed(), number + 1 >= MANY, "{number}");
            if gate.is_closed() {
                break;
            }
        }
        gate.probe();
        answer(&gate, "a/tags/list", 200, None).await;
        for number in 0..MANY {
            answer(&gate, &format!("a/manifests/{number}"), status, None).await;
        }
        assert_eq!(gate.standing(), Standing::Open, "these are broken by themselves");
    }
}

#[tokio::test]
async fn semantics_37_what_a_server_cannot_do_and_what_only_head_is_refused_close_nothing() {
    let gate = Gate::default();
    for number in 0..2 * MANY {
        answer(&gate, &format!("a/referrers/{number}"), 501, None).await;
        let mut head = call(&format!("a/manifests/{number}"));
        head.method = Method::HEAD;
        let passage = gate.admit(&head, "registry.example", true).unwrap();
        let refused = http::Response::builder().status(500).body("").unwrap();
        assert!(stands(passage.answered(&refused.into(), None)).is_none());
    }
    assert_eq!(gate.standing(), Standing::Open);
}

#[tokio::test]
async fn semantics_37_things_that_are_broken_for_good_keep_none_behind_them_for_ever() {
    for status in [500, 503] {
        let gate = Gate::default();
        let (broken, mut closed) = (3 * TROUBLED, 0);
        loop {
            gate.probe();
            answer(&gate, "a/tags/list", 200, None).await;
            for number in 0..broken {
                answer(&gate, &format!("a/manifests/{number}"), status, None).await;
                if gate.is_closed() {
                    break;
                }
            }
            if !gate.is_closed() {
                break;
            }
            closed += 1;
        }
        assert!((8..=32).contains(&closed), "{closed}");
        // Once one of them is had, the registry may be in trouble again.
        answer(&gate, &format!("a/manifests/{}", broken - 1), 200, None).await;
        for number in 0..MANY {
            answer(&gate, &format!("b/manifests/{number}"), status, None).await;
        }
        assert!(gate.is_closed());
    }
}

#[tokio::test]
async fn semantics_39_limits_and_outages_beside_a_broken_thing_prove_nothing_about_many_in_a_row() {
    let gate = Gate::default();
    answer(&gate, "a/manifests/broken", 500, None).await;
    for _ in 0..100 {
        gate.close(WaitReason::RateLimited, None, false, false);
        gate.probe();
        answer(&gate, "a/tags/list", 200, None).await;
        assert_eq!(gate.standing(), Standing::Open);
    }
    for number in 0..MANY {
        answer(&gate, &format!("b/manifests/{number}"), 500, None).await;
    }
    assert!(gate.is_closed());
}

#[tokio::test]
async fn what_is_seen_again_by_head_has_no_trouble_any_more() {
    let gate = Gate::default();
    answer(&gate, "a/manifests/1", 500, None).await;
    answer(&gate, "a/tags/list", 200, None).await;
    assert!(admit(&gate, "a/manifests/1").unwrap().asked.is_own_trouble());
    let mut head = call("a/manifests/1");
    head.method = Method::HEAD;
    let passage = gate.admit(&head, "registry.example", true).unwrap();
    let found = http::Response::builder().status(200).body("").unwrap();
    assert!(stands(passage.answered(&found.into(), None)).is_none());
    assert!(!admit(&gate, "a/manifests/1").unwrap().asked.is_own_trouble());
}

#[tokio::test]
async fn semantics_39_who_says_how_long_to_wait_is_believed_the_first_time() {
    let gate = Gate::default();
    answer(&gate, "a/manifests/1", 503, Some("9")).await;
    assert!(gate.is_closed());
}

#[tokio::test]
async fn semantics_39_what_everything_needs_closes_the_gate_at_once() {
    for status in [502, 503, 504] {
        let gate = Gate::default();
        answer(&gate, "", status, None).await;
        assert!(gate.is_closed(), "{status}");
    }
}

#[tokio::test]
async fn a_registry_is_silent_while_nothing_moves_that_is_awaited() {
    let gate = Gate::default();
    let pass_time = || gate.lock().moved -= Duration::from_secs(3);
    pass_time();
    assert_eq!(gate.silence(), Duration::ZERO);
    let passage = admit(&gate, "a/tags/list").unwrap();
    assert!(gate.silence() < Duration::from_secs(1));
    pass_time();
    assert!(gate.silence() >= Duration::from_secs(3));
    passage.moved();
    assert!(gate.silence() < Duration::from_secs(1));
    pass_time();
    drop(passage);
    assert_eq!(gate.silence(), Duration::ZERO);
}

#[tokio::test]
async fn semantics_39_a_403_that_says_when_to_come_back_is_a_limit() {
    let gate = Gate::default();
    answer(&gate, "a/manifests/1", 403, None).await;
    assert!(!gate.is_closed());
    answer(&gate, "a/manifests/1", 403, Some("7")).await;
    assert!(gate.is_closed());
}

#[tokio::test]
async fn a_registry_that_drips_is_silent_too() {
    let gate = Gate::default();
    for _ in 0..5 {
        let waits = gate.under_way();
        gate.lock().moved -= Duration::from_secs(1);
        gate.came(1);
        drop(waits);
    }
    let waits = gate.under_way();
    assert!(gate.silence() >= Duration::from_secs(5));
    gate.came(A_MOVE);
    assert!(gate.silence() < Duration::from_secs(1));
    drop(waits);
    assert_eq!(gate.silence(), Duration::ZERO, "nothing is awaited");
}

#[tokio::test]
async fn who_breaks_off_an_upload_is_not_left_alone_for_it() {
    let gate = Gate::default();
    let mut upload = call("a/blobs/uploads/1");
    upload.method = Method::PUT;
    upload.payload = Payload::Bytes("x".into());
    let passage = gate.admit(&upload, "registry.example", true).unwrap();
    assert!(passage.failed(&Failure::Broken("reset".into())).is_none());
    assert_eq!(gate.standing(), Standing::Open);
}

fn answered(gate: &Gate, path: &str, status: u16, retry_after: u64, repeats: &mut Repeats) -> Verdict {
    let answer = http::Response::builder().status(status).header("retry-after", retry_after);
    admit(gate, path).unwrap().answered(&answer.body("").unwrap().into(), Some(repeats))
}

#[tokio::test]
async fn semantics_39_a_request_too_many_is_repeated_at_its_turn_and_none_is_asked_before() {
    let gate = Gate::default();
    answer(&gate, "a/manifests/1", 200, None).await;
    let late = admit(&gate, "a/manifests/late").unwrap();
    let mut repeats = Repeats::default();
    assert!(matches!(answered(&gate, "a/manifests/2", 429, 1, &mut repeats), Verdict::Repeat));
    let refused = http::Response::builder().status(429).body("").unwrap().into();
    let verdict = late.answered(&refused, Some(&mut Repeats::default()));
    assert!(matches!(verdict, Verdict::Repeat), "it was sent before the limit was known");
    assert_eq!(gate.standing(), Standing::Open);
    let begun = Instant::now();
    tokio::join!(gate.turn(), gate.turn());
    assert!(begun.elapsed() >= Duration::from_secs(2), "one second was asked for, and the pace is slow now");
    answer(&gate, "a/manifests/2", 200, None).await;
    assert!(matches!(answered(&gate, "a/manifests/3", 429, 1, &mut repeats), Verdict::Repeat));
    assert!(gate.silence() < Duration::from_secs(1), "nobody waits for a turn");
}

#[tokio::test]
async fn semantics_39_a_registry_that_lets_nothing_through_or_asks_for_long_is_left_alone() {
    for (before, asked, progressed) in [(false, 1, false), (true, 11, true)] {
        let gate = Gate::default();
        if before {
            answer(&gate, "a/manifests/1", 200, None).await;
        }
        let verdict = answered(&gate, "a/manifests/2", 429, asked, &mut Repeats::default());
        assert!(matches!(verdict, Verdict::Stands(None)));
        let Standing::Closed(closure) = gate.standing() else { panic!("it is open") };
        assert_eq!(closure.progressed, progressed);
    }
    // What is not limited says nothing about what is.
    let gate = Gate::default();
    answer(&gate, "a/tags/list", 200, None).await;
    let mut repeats = Repeats::default();
    assert!(matches!(answered(&gate, "a/manifests/1", 429, 1, &mut repeats), Verdict::Repeat));
    answer(&gate, "a/tags/list", 200, None).await;
    assert!(matches!(answered(&gate, "a/manifests/1", 429, 1, &mut repeats), Verdict::Stands(None)));
    let Standing::Closed(closure) = gate.standing() else { panic!("it is open") };
    assert!(!closure.progressed);
}

#[tokio::test]
async fn semantics_39_a_503_beside_what_goes_through_is_repeated_once_and_then_its_own_trouble() {
    let gate = Gate::default();
    for number in 0..20 {
        answer(&gate, &format!("a/manifests/{number}"), 200, None).await;
    }
    let mut repeats = Repeats::default();
    assert!(matches!(answered(&gate, "a/manifests/broken", 503, 0, &mut repeats), Verdict::Repeat));
    assert!(gate.lock().limits.queue(Instant::now()).is_zero() && gate.lock().limits.is_paced());
    answer(&gate, "a/manifests/good", 200, None).await;
    let refused = http::Response::builder().status(503).body("").unwrap().into();
    let verdict = admit(&gate, "a/manifests/broken").unwrap().answered(&refused, Some(&mut repeats));
    let Verdict::Stands(Some(doubt)) = verdict else { panic!("{verdict:?}") };
    doubt.settle(std::future::ready(true)).await;
    assert!(!gate.lock().limits.is_paced(), "others are not slowed down for it");
    assert_eq!(gate.standing(), Standing::Open);
}

#[tokio::test]
async fn who_stops_waiting_for_a_turn_holds_up_nobody() {
    let gate = Gate::default();
    answer(&gate, "a/manifests/1", 200, None).await;
    assert!(matches!(answered(&gate, "a/manifests/2", 429, 1, &mut Repeats::default()), Verdict::Repeat));
    let given_up = tokio::time::timeout(Duration::from_millis(10), gate.turn());
    assert!(given_up.await.is_err());
    let begun = Instant::now();
    gate.turn().await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(gate.silence().is_zero());
}
